#include "runner/jobs/job_observer.h"

#include <gtest/gtest.h>

namespace airlock::runner {
namespace {

using std::chrono::seconds;

struct Told final : JobObserver {
  void submitted(const ObservedJob&) override {}
  void driven(const ObservedJob& job, const std::string& in, std::optional<Duration> after,
              bool was_adopted) override {
    last = job;
    phase = in;
    waited = after;
    adopted = was_adopted;
  }
  void entered(const std::string&, const std::string&) override {}
  void let_go(const std::string&) override {}
  void ended(const ObservedJob& job, model::JobState how, std::optional<Duration> after) override {
    last = job;
    state = how;
    took = after;
  }

  ObservedJob last;
  std::string phase;
  std::optional<Duration> waited;
  std::optional<Duration> took;
  bool adopted = false;
  model::JobState state = model::JobState::kPending;
};

model::JobRecord claimed(std::uint32_t attempts) {
  model::JobRecord record;
  record.id = "job_1";
  record.spec.validator_hotkey = "5F";
  record.spec.weight_class = {.gpus = 2, .gpu_type = "H200"};
  record.state = model::JobState::kCloning;
  record.attempts = attempts;
  record.submitted_at = model::WallTime(seconds(100));
  return record;
}

TEST(JobObserver, WhoseAJobIsTheOwnerSaysFirst) {
  model::JobRecord record = claimed(1);
  EXPECT_EQ(observed(record).tenant, "5F");
  record.owner = "someone";
  EXPECT_EQ(observed(record).tenant, "someone");
  EXPECT_EQ(observed(record).weight_class, "2xH200");
}

TEST(JobObserver, AJobThatWaitsHasTheClassThatItWasSubmittedWith) {
  const auto class_of = [](std::uint32_t gpus, std::string type) {
    return observed(
               queue::WaitingJob{.id = "a",
                                 .tenant = "t",
                                 .gpu_type = std::move(type),
                                 .ask = {.gpus = gpus, .cpu_millis = 0, .memory = {}, .disk = {}}})
        .weight_class;
  };
  EXPECT_EQ(class_of(8, "H200"), "8xH200");
  EXPECT_EQ(class_of(0, ""), "0x");
}

TEST(JobObserver, OnlyAFirstAttemptHasWaited) {
  Told told;
  tell_driven(told, claimed(1), model::WallTime(seconds(130)), /*adopted=*/false);
  EXPECT_EQ(told.waited, seconds(30));
  EXPECT_EQ(told.phase, "cloning");  // a claim has no phase of its own yet
  tell_driven(told, claimed(2), model::WallTime(seconds(130)), /*adopted=*/false);
  EXPECT_EQ(told.waited, std::nullopt);
  model::JobRecord running = claimed(1);
  running.phase = "downloading_input";
  tell_driven(told, running, model::WallTime(seconds(130)), /*adopted=*/true);
  EXPECT_EQ(told.waited, std::nullopt);
  EXPECT_TRUE(told.adopted);
  EXPECT_EQ(told.phase, "downloading_input");
}

TEST(JobObserver, WhatNeverStartedTookNoTime) {
  Told told;
  model::JobRecord record = claimed(1);
  record.state = model::JobState::kTimeout;
  record.completed_at = model::WallTime(seconds(190));
  tell_ended(told, record);
  EXPECT_EQ(told.took, std::nullopt);
  record.started_at = model::WallTime(seconds(130));
  tell_ended(told, record);
  EXPECT_EQ(told.took, seconds(60));
  EXPECT_EQ(told.state, model::JobState::kTimeout);
}

}  // namespace
}  // namespace airlock::runner
