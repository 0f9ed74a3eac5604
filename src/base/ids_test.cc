#include "base/ids.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

namespace airlock::base {
namespace {

// Gives the same byte for ever.
class ConstantRandom final : public RandomSource {
 public:
  explicit ConstantRandom(std::byte byte) : byte_(byte) {}
  void fill(std::span<std::byte> bytes) override { std::ranges::fill(bytes, byte_); }

 private:
  std::byte byte_;
};

TEST(IdsTest, AnIdIsItsPrefixAnd128Bits) {
  ConstantRandom zeros(std::byte{0});
  EXPECT_EQ(make_id("run", zeros), "run_00000000000000000000000000");
  ConstantRandom ones(std::byte{0xff});
  // 25 characters hold 125 bits; the last holds three and two zeros.
  EXPECT_EQ(make_id("job", ones), "job_zzzzzzzzzzzzzzzzzzzzzzzzzw");
}

TEST(IdsTest, IdsOfTheSystemNeverRepeat) {
  SystemRandom random;
  std::set<std::string> seen;
  for (int i = 0; i < 2'000; ++i) EXPECT_TRUE(seen.insert(make_id("run", random)).second);
}

TEST(IdsTest, OneSeedGivesOneSequence) {
  SeededRandom first(7);
  SeededRandom again(7);
  SeededRandom other(8);
  const std::string id = make_id("run", first);
  EXPECT_EQ(make_id("run", again), id);
  EXPECT_NE(make_id("run", other), id);
  EXPECT_NE(make_id("run", first), id);
}

TEST(IdsTest, SeededRandomMatchesThePublishedSequence) {
  // The first outputs of SplitMix64 for seed 0, little-endian: e220a8397b1dcdaf, 6e789e6aa1b965f4.
  SeededRandom random(0);
  std::array<std::byte, 12> bytes{};
  random.fill(bytes);
  constexpr std::array<int, 12> kExpected = {0xaf, 0xcd, 0x1d, 0x7b, 0x39, 0xa8,
                                             0x20, 0xe2, 0xf4, 0x65, 0xb9, 0xa1};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(std::to_integer<int>(bytes[i]), kExpected[i]) << i;
  }
}

TEST(IdsTest, WhatWasMadeIsRecognised) {
  SystemRandom random;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(is_id("sandbox", make_id("sandbox", random)));
}

TEST(IdsTest, AnythingElseIsNotAnId) {
  const std::string good = "run_00000000000000000000000000";
  ASSERT_TRUE(is_id("run", good));
  EXPECT_FALSE(is_id("job", good));
  EXPECT_FALSE(is_id("run", good + "0"));
  EXPECT_FALSE(is_id("run", good.substr(1)));
  EXPECT_FALSE(is_id("run", ""));
  EXPECT_FALSE(is_id("run", "run-00000000000000000000000000"));
  EXPECT_FALSE(is_id("run", "run_0000000000000000000000000/"));
  EXPECT_FALSE(is_id("run", "run_0000000000000000000000000U"));
  EXPECT_FALSE(is_id("run", "run_000000000000000000000000.."));
}

TEST(IdsDeathTest, APrefixThatIsNoWordIsOurBug) {
  SystemRandom random;
  EXPECT_DEATH(make_id("", random), "CHECK failed");
  EXPECT_DEATH(make_id("../x", random), "CHECK failed");
  EXPECT_DEATH(make_id("muchtoolong", random), "CHECK failed");
}

TEST(IdsTest, HexHasTwoDigitsForEachByte) {
  SeededRandom random(1);
  const std::string text = make_hex(16, random);
  EXPECT_EQ(text.size(), 32u);
  EXPECT_EQ(text.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(make_hex(16, random), text);
  EXPECT_EQ(make_hex(0, random), "");
}

}  // namespace
}  // namespace airlock::base
