#include "store/transitions.h"

#include <gtest/gtest.h>

namespace airlock::store {
namespace {

using model::JobState;

template <typename F>
void for_each_state(F use) {
  for (std::size_t i = 0; i < model::kJobStates; ++i) use(static_cast<JobState>(i));
}

TEST(TransitionsTest, NothingFollowsATerminalState) {
  for_each_state([](JobState from) {
    if (!model::is_terminal(from)) return;
    for_each_state([&](JobState to) { EXPECT_FALSE(is_allowed(from, to)); });
  });
}

TEST(TransitionsTest, NoStateFollowsItself) {
  for_each_state([](JobState state) { EXPECT_FALSE(is_allowed(state, state)); });
}

TEST(TransitionsTest, EveryRunningStateCanEndAndCanBeGivenBack) {
  for_each_state([](JobState from) {
    if (!is_running(from)) return;
    for (const JobState to :
         {JobState::kPending, JobState::kFailed, JobState::kTimeout, JobState::kCancelled}) {
      EXPECT_TRUE(is_allowed(from, to)) << model::job_state_name(from);
    }
  });
}

TEST(TransitionsTest, ARunningJobOnlyGoesForward) {
  EXPECT_TRUE(is_allowed(JobState::kCloning, JobState::kBuilding));
  EXPECT_TRUE(is_allowed(JobState::kCloning, JobState::kInference));
  EXPECT_FALSE(is_allowed(JobState::kInference, JobState::kPrep));
  EXPECT_FALSE(is_allowed(JobState::kPrep, JobState::kCloning));
}

TEST(TransitionsTest, OnlyInferenceCompletes) {
  for_each_state([](JobState from) {
    EXPECT_EQ(is_allowed(from, JobState::kCompleted), from == JobState::kInference);
  });
}

TEST(TransitionsTest, AWaitingJobStartsOrIsCancelledAndNothingElse) {
  for_each_state([](JobState to) {
    EXPECT_EQ(is_allowed(JobState::kPending, to),
              to == JobState::kCloning || to == JobState::kCancelled);
  });
}

}  // namespace
}  // namespace airlock::store
