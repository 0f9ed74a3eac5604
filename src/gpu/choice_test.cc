#include "gpu/choice.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace airlock::gpu {
namespace {

using Places = std::vector<std::uint32_t>;

enum class Links { kAll, kQuads, kPairs, kNone };

// These GPUs of a host with eight on two NUMA nodes.
std::vector<Candidate> host(const Places& free, Links links) {
  const auto island = [links](std::uint32_t place) -> std::uint32_t {
    switch (links) {
      case Links::kAll: return 0;
      case Links::kQuads: return place / 4;
      case Links::kPairs: return place / 2;
      case Links::kNone: return place;
    }
    return place;
  };
  std::vector<Candidate> candidates;
  for (const std::uint32_t place : free) {
    Candidate candidate{.place = place,
                        .uuid = std::to_string(place),
                        .parent = {},
                        .numa_node = place / 4,
                        .nvlink_peers = {}};
    for (std::uint32_t other = 0; other < 8; ++other) {
      if (other != place && island(other) == island(place)) {
        candidate.nvlink_peers.push_back(std::to_string(other));
      }
    }
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

Places chosen(const Places& free, std::size_t count, Links links) {
  Places places;
  for (const std::size_t position : choose_gpus(host(free, links), count)) {
    places.push_back(free[position]);
  }
  return places;
}

const Places kWhole = {0, 1, 2, 3, 4, 5, 6, 7};

TEST(GpuChoice, AWholeHostIsTakenFromTheStart) {
  for (const Links links : {Links::kAll, Links::kQuads, Links::kNone}) {
    EXPECT_EQ(chosen(kWhole, 1, links), Places({0}));
    EXPECT_EQ(chosen(kWhole, 2, links), Places({0, 1}));
    EXPECT_EQ(chosen(kWhole, 4, links), Places({0, 1, 2, 3}));
    EXPECT_EQ(chosen(kWhole, 8, links), kWhole);
  }
}

TEST(GpuChoice, FourGetAWholeQuad) {
  EXPECT_EQ(chosen({1, 2, 3, 4, 5, 6, 7}, 4, Links::kQuads), Places({4, 5, 6, 7}));
  EXPECT_EQ(chosen({1, 2, 3, 4, 5, 6, 7}, 4, Links::kAll), Places({4, 5, 6, 7}));  // one node
  EXPECT_EQ(chosen({1, 2, 3, 4, 5, 6, 7}, 4, Links::kNone), Places({4, 5, 6, 7}));
}

TEST(GpuChoice, NvlinkMattersMoreThanWhatIsLeftAndThanTheNumbers) {
  EXPECT_EQ(chosen({3, 4, 6, 7}, 2, Links::kPairs), Places({6, 7}));
  EXPECT_EQ(chosen({3, 4, 5, 6}, 2, Links::kQuads), Places({4, 5}));
}

TEST(GpuChoice, WithNvlinkEverywhereOneNodeIsBetterThanTwo) {
  EXPECT_EQ(chosen({3, 4, 5}, 2, Links::kAll), Places({4, 5}));
}

TEST(GpuChoice, AJobWithOneDoesNotBreakAWholeQuad) {
  for (const Links links : {Links::kAll, Links::kQuads, Links::kNone}) {
    EXPECT_EQ(chosen({0, 1, 2, 3, 6, 7}, 1, links), Places({6}));
    EXPECT_EQ(chosen({0, 1, 2, 3, 6, 7}, 2, links), Places({6, 7}));
    EXPECT_EQ(chosen({2, 4, 5, 6, 7}, 1, links), Places({2}));
  }
}

TEST(GpuChoice, ThePairIsLeftTogether) {
  EXPECT_EQ(chosen({0, 1, 3}, 1, Links::kAll), Places({3}));
  EXPECT_EQ(chosen({0, 2, 3}, 1, Links::kAll), Places({0}));
}

TEST(GpuChoice, AfterOnesAndTwosAQuadIsStillWhole) {
  Places free = kWhole;
  const auto take = [&free](std::size_t count) {
    for (const std::uint32_t place : chosen(free, count, Links::kAll)) {
      free.erase(std::ranges::find(free, place));
    }
  };
  take(1);
  take(2);
  take(1);
  EXPECT_EQ(free, Places({4, 5, 6, 7}));
}

TEST(GpuChoice, WhatIsNotLinkedIsGivenWhenNothingElseIsFree) {
  EXPECT_EQ(chosen({0, 7}, 2, Links::kQuads), Places({0, 7}));
  EXPECT_EQ(chosen({0, 1, 4, 5}, 4, Links::kQuads), Places({0, 1, 4, 5}));
}

TEST(GpuChoice, MoreThanAreFreeIsNothing) {
  EXPECT_TRUE(chosen({0, 1}, 3, Links::kAll).empty());
  EXPECT_TRUE(chosen({}, 1, Links::kAll).empty());
  EXPECT_TRUE(chosen({0, 1}, 0, Links::kAll).empty());
}

// 56 instances: too many sets to look at each.
TEST(GpuChoice, InstancesComeFromTheGpuThatHasTheFewestLeft) {
  std::vector<Candidate> free;
  for (std::uint32_t place = 0; place < 56; ++place) {
    if (place >= 7 && place < 10) continue;  // of the second GPU only four are left
    free.push_back({.place = place,
                    .uuid = std::to_string(place),
                    .parent = "GPU-" + std::to_string(place / 7),
                    .numa_node = place / 28,
                    .nvlink_peers = {}});
  }
  const auto places = [&free](std::size_t count) {
    Places all;
    for (const std::size_t position : choose_gpus(free, count)) all.push_back(free[position].place);
    return all;
  };
  EXPECT_EQ(places(1), Places({10}));
  EXPECT_EQ(places(2), Places({10, 11}));
  const Places eight = places(8);
  EXPECT_EQ(eight.size(), 8u);
  EXPECT_TRUE(std::ranges::includes(eight, Places({10, 11, 12, 13})));
}

}  // namespace
}  // namespace airlock::gpu
