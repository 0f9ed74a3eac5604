#include "model/job.h"

#include <gtest/gtest.h>

namespace airlock::model {
namespace {

TEST(JobStateTest, EveryNameLeadsBackToItsState) {
  for (std::size_t i = 0; i < kJobStates; ++i) {
    const auto state = static_cast<JobState>(i);
    EXPECT_EQ(find_job_state(job_state_name(state)), state);
  }
  EXPECT_EQ(find_job_state("running"), std::nullopt);
}

TEST(JobStateTest, OnlyTheLastFourAreTerminal) {
  EXPECT_FALSE(is_terminal(JobState::kPending));
  EXPECT_FALSE(is_terminal(JobState::kInference));
  EXPECT_TRUE(is_terminal(JobState::kCompleted));
  EXPECT_TRUE(is_terminal(JobState::kTimeout));
  EXPECT_TRUE(is_terminal(JobState::kCancelled));
}

TEST(WeightClassTest, CountsAndTypesOfTheContract) {
  for (const char* text : {"0x", "1xH200", "2xH200", "4xH200", "8xA100-80GB"}) {
    const auto parsed = parse_weight_class(text);
    ASSERT_TRUE(parsed.has_value()) << text;
    EXPECT_EQ(parsed->to_string(), text);
  }
}

TEST(WeightClassTest, AnythingElseIsRefused) {
  for (const char* text : {"", "x", "1x", "0xH200", "3xH200", "16xH200", "1H200", "1x H200", "-1x",
                           "1xH200\n", "1X"}) {
    EXPECT_FALSE(parse_weight_class(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace airlock::model
