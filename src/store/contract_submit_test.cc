// The contract of JobStore: submitting, keys, and what is still there afterwards.
#include <array>
#include <future>
#include <set>
#include <thread>
#include <vector>

#include "store/contract_bed.h"

namespace airlock::store {
namespace {

using base::ErrorCode;
using model::JobState;

Submission with_key(std::string key, model::JobSpec spec = make_spec(),
                    std::string owner = "owner") {
  return {.spec = std::move(spec), .owner = std::move(owner), .idempotency_key = std::move(key)};
}

TEST_P(JobStoreContract, ASubmittedJobWaitsAndHasEverythingItCameWith) {
  model::JobSpec spec = make_spec("2xH200");
  spec.repo_commit = std::string(40, 'a');
  spec.repo_path = "sub/folder";
  spec.input_uri = "s3://bucket/in";
  spec.output_uri = "file:///out";
  spec.priority = 7;
  spec.env = {{"NAME", "v\xc3\xa4lue"}, {"EMPTY", ""}};
  spec.challenge = "nonce";
  spec.min_isolation = model::IsolationLevel::kContainer;
  spec.cpu_millis = 1'500;
  spec.memory = base::gibibytes(3);
  spec.disk = base::mebibytes(5);
  spec.prep_timeout = std::chrono::minutes(3);
  spec.inference_timeout = std::chrono::milliseconds(1);
  const auto submitted = must(&JobStore::submit, Submission{spec, "somebody", {}});
  EXPECT_FALSE(submitted.replayed);
  EXPECT_EQ(submitted.state, JobState::kPending);
  EXPECT_TRUE(submitted.id.starts_with("job_"));
  EXPECT_EQ(submitted.id.size(), 16U);

  bed_->reopen();
  const model::JobRecord job = find(submitted.id);
  EXPECT_EQ(job.id, submitted.id);
  EXPECT_EQ(job.owner, "somebody");
  EXPECT_EQ(job.state, JobState::kPending);
  EXPECT_EQ(job.submitted_at, clock().now());
  EXPECT_EQ(job.spec.repo_url, spec.repo_url);
  EXPECT_EQ(job.spec.repo_branch, "main");
  EXPECT_EQ(job.spec.repo_commit, spec.repo_commit);
  EXPECT_EQ(job.spec.repo_path, spec.repo_path);
  EXPECT_EQ(job.spec.weight_class, spec.weight_class);
  EXPECT_EQ(job.spec.input_uri, spec.input_uri);
  EXPECT_EQ(job.spec.output_uri, spec.output_uri);
  EXPECT_EQ(job.spec.priority, spec.priority);
  EXPECT_EQ(job.spec.validator_hotkey, spec.validator_hotkey);
  EXPECT_EQ(job.spec.miner_hotkey, spec.miner_hotkey);
  EXPECT_EQ(job.spec.env, spec.env);
  EXPECT_EQ(job.spec.challenge, spec.challenge);
  EXPECT_EQ(job.spec.min_isolation, spec.min_isolation);
  EXPECT_EQ(job.spec.cpu_millis, spec.cpu_millis);
  EXPECT_EQ(job.spec.memory, spec.memory);
  EXPECT_EQ(job.spec.disk, spec.disk);
  EXPECT_EQ(job.spec.prep_timeout, spec.prep_timeout);
  EXPECT_EQ(job.spec.inference_timeout, spec.inference_timeout);
  EXPECT_FALSE(job.started_at.has_value());
  EXPECT_FALSE(job.completed_at.has_value());
}

TEST_P(JobStoreContract, AJobThatIsNotThereIsNotFound) {
  EXPECT_FALSE(must(&JobStore::find, std::string("job_000000000000")).has_value());
  EXPECT_FALSE(must(&JobStore::find, std::string("' OR 1=1 --")).has_value());
}

TEST_P(JobStoreContract, TheSameKeyGivesTheSameJobAgain) {
  const auto first = must(&JobStore::submit, with_key("k"));
  const auto again = must(&JobStore::submit, with_key("k"));
  EXPECT_EQ(again.id, first.id);
  EXPECT_TRUE(again.replayed);
  bed_->reopen();
  must(&JobStore::request_cancel, first.id);
  const auto later = must(&JobStore::submit, with_key("k"));
  EXPECT_EQ(later.id, first.id);
  EXPECT_EQ(later.state, JobState::kCancelled);
  EXPECT_EQ(must(&JobStore::list, JobFilter{}).jobs.size(), 1U);
}

TEST_P(JobStoreContract, AKeyForAnotherSpecIsRefusedByName) {
  const auto first = must(&JobStore::submit, with_key("key-17"));
  model::JobSpec other = make_spec();
  other.challenge = "another";
  const base::Error error = refused(&JobStore::submit, with_key("key-17", other));
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_NE(error.message.find("key-17"), std::string::npos) << error.message;
  EXPECT_NE(error.message.find(first.id), std::string::npos) << error.message;
}

TEST_P(JobStoreContract, AKeyBelongsToItsOwner) {
  const auto one = must(&JobStore::submit, with_key("k", make_spec(), "one"));
  const auto other = must(&JobStore::submit, with_key("k", make_spec(), "other"));
  EXPECT_NE(one.id, other.id);
  EXPECT_FALSE(other.replayed);
}

TEST_P(JobStoreContract, AKeyIsForgottenWithAge) {
  const auto first = must(&JobStore::submit, with_key("k"));
  clock().advance(std::chrono::hours(23));
  EXPECT_TRUE(must(&JobStore::submit, with_key("k")).replayed);
  clock().advance(std::chrono::hours(2));
  const auto later = must(&JobStore::submit, with_key("k"));
  EXPECT_FALSE(later.replayed);
  EXPECT_NE(later.id, first.id);
  EXPECT_EQ(must(&JobStore::submit, with_key("k")).id, later.id);
  EXPECT_EQ(find(first.id).state, JobState::kPending);
}

TEST_P(JobStoreContract, WhatCannotBeKeptIsRefusedByName) {
  model::JobSpec spec = make_spec();
  spec.env = {{"BROKEN", "\xff"}};
  base::Error error = refused(&JobStore::submit, Submission{spec, {}, {}});
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_NE(error.message.find("env.BROKEN"), std::string::npos) << error.message;

  spec.env = {{"LARGE", std::string(300'000, 'x')}};
  error = refused(&JobStore::submit, Submission{spec, {}, {}});
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_NE(error.message.find("256 KiB"), std::string::npos) << error.message;

  error = refused(&JobStore::submit, with_key(std::string(257, 'k')));
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_NE(error.message.find("idempotency key"), std::string::npos) << error.message;
  EXPECT_TRUE(must(&JobStore::list, JobFilter{}).jobs.empty());
}

TEST_P(JobStoreContract, OneBadSubmissionTakesNoOtherWithIt) {
  model::JobSpec bad = make_spec();
  bad.priority = 11;
  constexpr int kJobs = 100;
  std::array<std::promise<bool>, kJobs> kept;
  for (int i = 0; i < kJobs; ++i) {
    store().submit(
        {i % 3 == 0 ? bad : make_spec(), "owner", {}},
        [&, i](base::Result<Submitted> result) { kept[i].set_value(result.has_value()); });
  }
  for (int i = 0; i < kJobs; ++i) EXPECT_EQ(kept[i].get_future().get(), i % 3 != 0) << i;
  EXPECT_EQ(must(&JobStore::count, std::nullopt)[0], 66U);
}

TEST_P(JobStoreContract, ManyThreadsSubmitAndEveryJobHasItsOwnId) {
  constexpr int kThreads = 8;
  constexpr int kEach = 50;
  std::array<std::vector<std::string>, kThreads> ids;
  std::vector<std::thread> threads;
  for (auto& mine : ids) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) mine.push_back(submit());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> all;
  for (const auto& mine : ids) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kThreads * kEach));
  bed_->reopen();
  for (const std::string& id : all) EXPECT_TRUE(must(&JobStore::find, id).has_value());
}

TEST_P(JobStoreContract, OneOfManyWithTheSameKeyIsNew) {
  constexpr int kThreads = 8;
  std::array<Submitted, kThreads> answers;
  std::vector<std::thread> threads;
  for (Submitted& answer : answers) {
    threads.emplace_back([&] { answer = must(&JobStore::submit, with_key("k")); });
  }
  for (std::thread& thread : threads) thread.join();
  int fresh = 0;
  for (const Submitted& answer : answers) {
    EXPECT_EQ(answer.id, answers[0].id);
    fresh += answer.replayed ? 0 : 1;
  }
  EXPECT_EQ(fresh, 1);
}

TEST_P(JobStoreContract, ASubmitterLearnsHowManyWaitAlready) {
  EXPECT_EQ(must(&JobStore::submit, Submission{make_spec(), {}, {}}).waiting_before, 0U);
  const auto second = must(&JobStore::submit, Submission{make_spec(), {}, {}});
  EXPECT_EQ(second.waiting_before, 1U);
  claim(second.id);
  EXPECT_EQ(must(&JobStore::submit, Submission{make_spec(), {}, {}}).waiting_before, 1U);
}

TEST_P(JobStoreContract, AClockThatGoesBackChangesNoOrder) {
  const std::string first = submit();
  clock().advance(-std::chrono::hours(5));
  const std::string second = submit();
  bed_->reopen();
  clock().advance(-std::chrono::hours(5));
  const std::string third = submit();
  const auto page = must(&JobStore::list, JobFilter{});
  ASSERT_EQ(page.jobs.size(), 3U);
  EXPECT_EQ(page.jobs[0].id, third);
  EXPECT_EQ(page.jobs[1].id, second);
  EXPECT_EQ(page.jobs[2].id, first);
  EXPECT_GE(page.jobs[0].submitted_at, page.jobs[1].submitted_at);
  EXPECT_GE(page.jobs[1].submitted_at, page.jobs[2].submitted_at);
  const auto waiting = must(&JobStore::waiting, WaitingRequest{});
  ASSERT_EQ(waiting.jobs.size(), 3U);
  EXPECT_EQ(waiting.jobs[0].id, first);
  EXPECT_EQ(waiting.jobs[2].id, third);
  claim(first);
  EXPECT_GE(*find(first).started_at, find(first).submitted_at);
}

TEST_P(JobStoreContract, TheRunnersIdIsMadeOnceAndKept) {
  const std::string id = store().runner_id();
  EXPECT_TRUE(id.starts_with("runner_")) << id;
  bed_->reopen();
  EXPECT_EQ(store().runner_id(), id);
}

}  // namespace
}  // namespace airlock::store
