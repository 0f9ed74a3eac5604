// The contract of JobStore: claims, changes, and the one end of every job.
#include <array>
#include <thread>
#include <vector>

#include "store/contract_bed.h"
#include "store/transitions.h"

namespace airlock::store {
namespace {

using base::ErrorCode;
using model::JobState;

JobChange to_state(JobState state) {
  JobChange change;
  change.state = state;
  return change;
}

TEST_P(JobStoreContract, AClaimGivesTheJobToOneRunner) {
  const std::string id = submit();
  clock().advance(std::chrono::seconds(5));
  const auto job =
      must(&JobStore::claim, ClaimRequest{id, "runner_a", {{3, "GPU-3"}, {5, "GPU-5"}}});
  EXPECT_EQ(job.id, id);
  EXPECT_EQ(job.state, JobState::kCloning);
  EXPECT_EQ(job.runner_id, "runner_a");
  EXPECT_EQ(job.attempts, 1U);
  EXPECT_EQ(job.started_at, clock().now());
  EXPECT_EQ(job.spec.miner_hotkey, "miner");
  ASSERT_EQ(job.gpus.size(), 2U);
  EXPECT_EQ(job.gpus[1].index, 5U);
  EXPECT_EQ(job.gpus[1].uuid, "GPU-5");
  EXPECT_GT(job.fencing_token, 0U);
  const base::Error error = refused(&JobStore::claim, ClaimRequest{id, "runner_b", {}});
  EXPECT_EQ(error.code, ErrorCode::kBusy);
  EXPECT_EQ(find(id).runner_id, "runner_a");
}

TEST_P(JobStoreContract, OneOfManyClaimsWins) {
  const std::string id = submit();
  constexpr int kThreads = 8;
  std::array<bool, kThreads> won{};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      won[i] =
          wait_for(&JobStore::claim, store(), ClaimRequest{id, "runner_" + std::to_string(i), {}})
              .has_value();
    });
  }
  for (std::thread& thread : threads) thread.join();
  int winners = 0;
  for (int i = 0; i < kThreads; ++i) {
    winners += won[i];
    if (won[i]) EXPECT_EQ(find(id).runner_id, "runner_" + std::to_string(i));
  }
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(find(id).attempts, 1U);
}

TEST_P(JobStoreContract, AJobThatIsNotThereCannotBeClaimedChangedOrCancelled) {
  const std::string id = "job_ffffffffffff";
  EXPECT_EQ(refused(&JobStore::claim, ClaimRequest{id, "r", {}}).code, ErrorCode::kNotFound);
  EXPECT_EQ(refused(&JobStore::update, JobClaim{id, 1}, JobChange{}).code, ErrorCode::kNotFound);
  EXPECT_EQ(refused(&JobStore::release, JobClaim{id, 1}, std::string()).code, ErrorCode::kNotFound);
  const base::Error error = refused(&JobStore::request_cancel, id);
  EXPECT_EQ(error.code, ErrorCode::kNotFound);
  EXPECT_EQ(error.message, "Job not found: " + id);
}

TEST_P(JobStoreContract, EveryTransitionIsInTheTable) {
  for (std::size_t f = 1; f < model::kJobStates; ++f) {
    for (std::size_t t = 0; t < model::kJobStates; ++t) {
      const auto from = static_cast<JobState>(f);
      const auto to = static_cast<JobState>(t);
      const JobClaim held = claim(submit());
      if (from == JobState::kCompleted) become(held, JobState::kInference);
      if (from != JobState::kCloning) become(held, from);
      const auto result = wait_for(&JobStore::update, store(), held, to_state(to));
      const bool allowed = !model::is_terminal(from) && to != JobState::kPending &&
                           (from == to || is_allowed(from, to));
      EXPECT_EQ(result.has_value(), allowed)
          << model::job_state_name(from) << " -> " << model::job_state_name(to);
      EXPECT_EQ(find(held.id).state, allowed ? to : from);
    }
  }
}

TEST_P(JobStoreContract, AnEndIsForEverAndHasItsTime) {
  const std::string id = submit();
  const JobClaim held = claim(id);
  clock().advance(std::chrono::seconds(9));
  JobChange end = to_state(JobState::kFailed);
  end.error_code = "prep_failed";
  end.error_message = "Prep phase failed";
  must(&JobStore::update, held, end);
  EXPECT_EQ(find(id).completed_at, clock().now());
  clock().advance(std::chrono::seconds(9));
  EXPECT_EQ(refused(&JobStore::update, held, to_state(JobState::kCompleted)).code,
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(refused(&JobStore::release, held, std::string()).code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(refused(&JobStore::claim, ClaimRequest{id, "r", {}}).code, ErrorCode::kBusy);
  EXPECT_EQ(must(&JobStore::request_cancel, id).state, JobState::kFailed);
  const model::JobRecord job = find(id);
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_EQ(job.error_code, "prep_failed");
  EXPECT_EQ(job.error_message, "Prep phase failed");
  EXPECT_FALSE(job.cancel_requested);
  EXPECT_EQ(*job.completed_at, clock().now() - std::chrono::seconds(9));
}

TEST_P(JobStoreContract, AStaleTokenChangesNothing) {
  const std::string id = submit();
  const JobClaim old = claim(id, "runner_a");
  must(&JobStore::release, old, std::string("runner_lost"));
  EXPECT_EQ(refused(&JobStore::update, old, to_state(JobState::kFailed)).code,
            ErrorCode::kPermissionDenied);
  const JobClaim held = claim(id, "runner_b");
  EXPECT_GT(held.fencing_token, old.fencing_token);
  JobChange change;
  change.phase = "stolen";
  const base::Error error = refused(&JobStore::update, old, change);
  EXPECT_EQ(error.code, ErrorCode::kPermissionDenied);
  EXPECT_NE(error.message.find("runner_b"), std::string::npos) << error.message;
  EXPECT_EQ(refused(&JobStore::release, old, std::string()).code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(find(id).state, JobState::kCloning);
  EXPECT_EQ(find(id).phase, "");
  must(&JobStore::update, held, to_state(JobState::kBuilding));
}

TEST_P(JobStoreContract, AReleasedJobWaitsAgainAndKeepsItsPlaceAndItsPast) {
  const std::string id = submit();
  clock().advance(std::chrono::seconds(1));
  const std::string later = submit();
  const JobClaim held = claim(id);
  JobChange change;
  change.phase = "cloning";
  change.progress = 10;
  change.phases.push_back(make_phase("clone"));
  must(&JobStore::update, held, change);
  EXPECT_EQ(must(&JobStore::release, held, std::string("host restarted")).state,
            JobState::kPending);
  const model::JobRecord job = find(id);
  EXPECT_EQ(job.state, JobState::kPending);
  EXPECT_EQ(job.runner_id, "");
  EXPECT_TRUE(job.gpus.empty());
  EXPECT_EQ(job.phase, "");
  EXPECT_EQ(job.progress, 0);
  EXPECT_EQ(job.attempts, 1U);
  EXPECT_FALSE(job.started_at.has_value());
  ASSERT_EQ(job.phases.size(), 1U);
  EXPECT_EQ(must(&JobStore::waiting, WaitingRequest{}).jobs[0].id, id);
  EXPECT_EQ(must(&JobStore::changes_since, ChangesRequest{}).changes.back().reason,
            "host restarted");
  claim(id);
  EXPECT_EQ(find(id).attempts, 2U);
}

TEST_P(JobStoreContract, CancellingAWaitingJobEndsItAtOnce) {
  const std::string id = submit();
  const JobHead head = must(&JobStore::request_cancel, id);
  EXPECT_EQ(head.state, JobState::kCancelled);
  EXPECT_EQ(find(id).state, JobState::kCancelled);
  EXPECT_TRUE(find(id).completed_at.has_value());
  EXPECT_EQ(refused(&JobStore::claim, ClaimRequest{id, "r", {}}).code, ErrorCode::kBusy);
  EXPECT_TRUE(must(&JobStore::waiting, WaitingRequest{}).jobs.empty());
  EXPECT_EQ(must(&JobStore::request_cancel, id).state, JobState::kCancelled);
}

TEST_P(JobStoreContract, CancellingARunningJobTellsItsRunner) {
  const std::string id = submit();
  const JobClaim held = claim(id);
  const JobHead head = must(&JobStore::request_cancel, id);
  EXPECT_EQ(head.state, JobState::kCloning);
  EXPECT_TRUE(head.cancel_requested);
  EXPECT_TRUE(find(id).cancel_requested);
  EXPECT_TRUE(must(&JobStore::update, held, to_state(JobState::kBuilding)).cancel_requested);
  must(&JobStore::update, held, to_state(JobState::kCancelled));
  EXPECT_EQ(find(id).state, JobState::kCancelled);
}

TEST_P(JobStoreContract, ACancelledJobIsNotRetried) {
  const std::string id = submit();
  const JobClaim held = claim(id);
  must(&JobStore::request_cancel, id);
  EXPECT_EQ(must(&JobStore::release, held, std::string("lost")).state, JobState::kCancelled);
  EXPECT_EQ(find(id).state, JobState::kCancelled);
  EXPECT_TRUE(must(&JobStore::waiting, WaitingRequest{}).jobs.empty());
}

TEST_P(JobStoreContract, WhatARunnerFindsOfItsOwnAfterARestart) {
  const std::string mine = submit();
  const std::string theirs = submit();
  const std::string over = submit();
  submit();
  claim(mine, "runner_a");
  claim(theirs, "runner_b");
  become(claim(over, "runner_a"), JobState::kFailed);
  bed_->reopen();
  const auto found = must(&JobStore::unfinished, std::string("runner_a"));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].id, mine);
  const auto all = must(&JobStore::unfinished, std::string());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].id, mine);
  EXPECT_EQ(all[1].id, theirs);
  // The claim outlives the store.
  must(&JobStore::update, JobClaim{mine, found[0].fencing_token}, to_state(JobState::kPrep));
}

}  // namespace
}  // namespace airlock::store
