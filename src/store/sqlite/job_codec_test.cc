#include "store/sqlite/job_codec.h"

#include <gtest/gtest.h>

namespace airlock::store::sqlite {
namespace {

TEST(JobCodecTest, EqualSpecsHaveEqualTexts) {
  model::JobSpec one;
  one.env = {{"A", "1"}, {"B", "2"}};
  one.memory = base::ByteCount(UINT64_MAX);
  model::JobSpec other;
  other.env = {{"B", "2"}, {"A", "1"}};
  other.memory = base::ByteCount(UINT64_MAX);
  EXPECT_EQ(encode(one), encode(other));
  model::JobSpec again;
  ASSERT_TRUE(decode(encode(one), again).has_value());
  EXPECT_EQ(encode(again), encode(one));
  other.disk = base::ByteCount(0);
  EXPECT_NE(encode(one), encode(other));
}

TEST(JobCodecTest, ATextOfAnOlderVersionIsReadWithWhatItLacks) {
  model::JobSpec spec;
  spec.challenge = "left over";
  ASSERT_TRUE(decode(R"({"repo_url":"https://x","gone_since":[1,{}]})", spec).has_value());
  EXPECT_EQ(spec.repo_url, "https://x");
  EXPECT_EQ(spec.repo_branch, "main");
  EXPECT_EQ(spec.challenge, "");
  EXPECT_FALSE(spec.memory.has_value());
  std::vector<model::PhaseRecord> phases;
  ASSERT_TRUE(decode(R"([{"name":"clone"}])", phases).has_value());
  EXPECT_EQ(phases[0].attempt, 1U);
  EXPECT_FALSE(phases[0].outcome.has_value());
}

TEST(JobCodecTest, WhatIsNoRecordIsAnErrorThatNamesTheMember) {
  model::JobSpec spec;
  const auto message = [&](std::string_view text) {
    const base::Status status = decode(text, spec);
    EXPECT_FALSE(status.has_value()) << text;
    return status ? std::string() : status.error().message;
  };
  EXPECT_EQ(message(R"({"priority":-1})"), "spec.priority: out of range");
  EXPECT_EQ(message(R"({"priority":1.5})"), "spec.priority: no whole number");
  EXPECT_EQ(message(R"({"repo_url":7})"), "spec.repo_url: no text");
  EXPECT_EQ(message(R"({"env":{"A":1}})"), "spec.env: no text");
  EXPECT_EQ(message(R"({"min_isolation":"none"})"), "spec.min_isolation: unknown name");
  EXPECT_EQ(message("[]"), "spec is no object");
  EXPECT_TRUE(message("").starts_with("is no JSON"));
  EXPECT_TRUE(message("{} {}").starts_with("is no JSON"));
  EXPECT_TRUE(message(std::string(10'000, '[')).starts_with("is no JSON"));
  EXPECT_TRUE(message("{\"repo_url\":\"\xff\"}").starts_with("is no JSON"));
  std::vector<model::PhaseRecord> phases;
  const auto status = decode(R"([{"outcome":{"limits_hit":["patience"]}}])", phases);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().message, "outcome.limits_hit: unknown limit");
}

TEST(JobCodecTest, EveryEnumeratorIsReadAsItself) {
  for (int kind = 0; kind <= static_cast<int>(model::OutcomeKind::kCancelled); ++kind) {
    for (int limit = 0; limit <= static_cast<int>(model::LimitKind::kFiles); ++limit) {
      model::PhaseRecord phase;
      phase.outcome.emplace().kind = static_cast<model::OutcomeKind>(kind);
      phase.outcome->limits_hit = {static_cast<model::LimitKind>(limit)};
      phase.isolation.cgroup = static_cast<model::CgroupVersion>(limit % 4);
      phase.isolation.level = static_cast<model::IsolationLevel>(limit % 3);
      phase.isolation.image = limit % 2 == 0 ? "" : "tools:1";
      std::vector<model::PhaseRecord> phases;
      ASSERT_TRUE(decode(encode(std::vector{phase}), phases).has_value());
      EXPECT_EQ(phases[0].outcome->kind, phase.outcome->kind);
      EXPECT_EQ(phases[0].outcome->limits_hit, phase.outcome->limits_hit);
      EXPECT_EQ(phases[0].isolation.cgroup, phase.isolation.cgroup);
      EXPECT_EQ(phases[0].isolation.level, phase.isolation.level);
      EXPECT_EQ(phases[0].isolation.image, phase.isolation.image);
    }
  }
}

TEST(JobCodecTest, TextsAreCutBetweenCharacters) {
  EXPECT_EQ(storable_text("a\xc3\xa4z", 10), "a\xc3\xa4z");
  EXPECT_EQ(storable_text("a\xc3\xa4z", 2), "a");
  EXPECT_EQ(storable_text("a\xc3", 10), "a\xef\xbf\xbd");
  EXPECT_EQ(storable_text("\xff\xff", 4), "\xef\xbf\xbd");
  EXPECT_EQ(storable_text("abc", 0), "");
}

}  // namespace
}  // namespace airlock::store::sqlite
