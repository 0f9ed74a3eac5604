// The contract of JobStore: what the scheduler sees, and the feed of changes.
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "store/contract_bed.h"

namespace airlock::store {
namespace {

using base::ErrorCode;
using model::JobState;

std::vector<std::string> ids_of(const WaitingJobs& waiting) {
  std::vector<std::string> ids;
  for (const WaitingJob& job : waiting.jobs) ids.push_back(job.id);
  return ids;
}

TEST_P(JobStoreContract, TheSchedulerSeesTheHeadOfEveryQueue) {
  const std::string a1 = submit(make_spec("1xH200"), "a");
  const std::string b1 = submit(make_spec("1xH200"), "b");
  const std::string a2 = submit(make_spec("1xH200"), "a");
  const std::string big = submit(make_spec("8xH200"), "a");
  const std::string none = submit(make_spec("0x"), "");
  submit(make_spec("1xH200"), "a");
  claim(submit(make_spec("1xH200"), "c"));
  const auto waiting = must(&JobStore::waiting, WaitingRequest{.per_queue = 2, .after = {}});
  EXPECT_EQ(ids_of(waiting), (std::vector{none, a1, a2, b1, big}));
  EXPECT_TRUE(waiting.next.empty());
}

TEST_P(JobStoreContract, TheSchedulerKnowsWhatAWaitingJobAsksFor) {
  model::JobSpec spec = make_spec("4xH200");
  spec.priority = 3;
  spec.cpu_millis = 2'000;
  spec.memory = base::gibibytes(64);
  spec.disk = base::gibibytes(10);
  spec.prep_timeout = std::chrono::hours(2);
  spec.inference_timeout = std::chrono::hours(1);
  const std::string id = submit(spec, "tenant");
  const WaitingJob job = must(&JobStore::waiting, WaitingRequest{}).jobs.at(0);
  EXPECT_EQ(job.id, id);
  EXPECT_EQ(job.owner, "tenant");
  EXPECT_EQ(job.weight_class, spec.weight_class);
  EXPECT_EQ(job.priority, 3U);
  EXPECT_EQ(job.submitted_at, clock().now());
  EXPECT_EQ(job.attempts, 0U);
  EXPECT_EQ(job.cpu_millis, spec.cpu_millis);
  EXPECT_EQ(job.memory, spec.memory);
  EXPECT_EQ(job.disk, spec.disk);
  EXPECT_EQ(job.prep_timeout, spec.prep_timeout);
  EXPECT_EQ(job.inference_timeout, spec.inference_timeout);
  EXPECT_TRUE(must(&JobStore::waiting, WaitingRequest{.per_queue = 1, .after = "4xH200\ntenant"})
                  .jobs.empty());
}

TEST_P(JobStoreContract, AHigherPriorityComesFirstUntilTheOtherHasWaitedLongEnough) {
  const auto with_priority = [&](std::uint32_t priority) {
    model::JobSpec spec = make_spec();
    spec.priority = priority;
    return submit(spec);
  };
  const std::string old_low = with_priority(0);
  clock().advance(std::chrono::minutes(9));
  const std::string high = with_priority(1);
  EXPECT_EQ(ids_of(must(&JobStore::waiting, WaitingRequest{})), (std::vector{high, old_low}));
  clock().advance(std::chrono::minutes(2));
  const std::string late_high = with_priority(1);
  EXPECT_EQ(ids_of(must(&JobStore::waiting, WaitingRequest{})),
            (std::vector{high, old_low, late_high}));
}

TEST_P(JobStoreContract, JobsOfTheSameMomentStartInTheOrderOfSubmission) {
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(submit());
  EXPECT_EQ(ids_of(must(&JobStore::waiting, WaitingRequest{})), ids);
}

TEST_P(JobStoreContract, TheFeedHasEveryChangeInOrder) {
  const std::string id = submit();
  const JobClaim held = claim(id);
  JobChange change;
  change.state = JobState::kBuilding;
  change.phase = "building";
  change.progress = 30;
  must(&JobStore::update, held, change);
  must(&JobStore::request_cancel, id);
  become(held, JobState::kCancelled);
  bed_->reopen();
  const auto page = must(&JobStore::changes_since, ChangesRequest{});
  EXPECT_FALSE(page.lost);
  ASSERT_EQ(page.changes.size(), 5U);
  const std::vector<JobState> states = {JobState::kPending, JobState::kCloning, JobState::kBuilding,
                                        JobState::kBuilding, JobState::kCancelled};
  for (std::size_t i = 0; i < states.size(); ++i) {
    EXPECT_EQ(page.changes[i].state, states[i]);
    EXPECT_EQ(page.changes[i].job_id, id);
    EXPECT_EQ(page.changes[i].owner, "owner");
    if (i > 0) EXPECT_GT(page.changes[i].sequence, page.changes[i - 1].sequence);
  }
  EXPECT_EQ(page.changes[2].phase, "building");
  EXPECT_EQ(page.changes[2].progress, 30);
  EXPECT_FALSE(page.changes[2].cancel_requested);
  EXPECT_TRUE(page.changes[3].cancel_requested);
  EXPECT_EQ(page.last, page.changes.back().sequence);
  EXPECT_TRUE(must(&JobStore::changes_since, ChangesRequest{.since = page.last, .owner = {}})
                  .changes.empty());
  // Whoever knows nothing of the past asks from beyond the newest, and then from there.
  const auto end =
      must(&JobStore::changes_since, ChangesRequest{.since = std::uint64_t{1} << 62, .owner = {}});
  EXPECT_TRUE(end.changes.empty());
  EXPECT_EQ(end.last, page.last);
  EXPECT_FALSE(end.lost);
}

TEST_P(JobStoreContract, TheFeedOfOneOwnerHasNobodyElsesJobs) {
  const std::string mine = submit(make_spec(), "me");
  submit(make_spec(), "you");
  ChangesRequest request{.since = 0, .owner = "me"};
  const auto page = must(&JobStore::changes_since, request);
  ASSERT_EQ(page.changes.size(), 1U);
  EXPECT_EQ(page.changes[0].job_id, mine);
  // It goes on after what others did, so that it is not looked at again.
  EXPECT_GT(page.last, page.changes[0].sequence);
}

TEST_P(JobStoreContract, TheFeedComesInPages) {
  for (int i = 0; i < 7; ++i) submit();
  ChangesRequest request{.since = 0, .owner = {}, .limit = 3};
  std::size_t seen = 0;
  for (int pages = 0; pages < 3; ++pages) {
    const auto page = must(&JobStore::changes_since, request);
    seen += page.changes.size();
    request.since = page.last;
  }
  EXPECT_EQ(seen, 7U);
}

TEST_P(JobStoreContract, TheFeedIsBoundedAndSaysWhenSomethingIsLost) {
  bed_->reopen({.changes_kept = 300});
  constexpr int kJobs = 2'000;
  for (int i = 0; i < kJobs; ++i) {
    store().submit({make_spec(), "owner", {}}, [](base::Result<Submitted>) {});
  }
  submit();
  std::size_t kept = 0;
  ChangesRequest request{.since = 1, .owner = {}};
  const auto first = must(&JobStore::changes_since, request);
  EXPECT_TRUE(first.lost);
  kept += first.changes.size();
  request.since = first.last;
  EXPECT_FALSE(must(&JobStore::changes_since, request).lost);
  EXPECT_GE(kept, 300U);
  EXPECT_LT(kept, 600U);
}

TEST_P(JobStoreContract, AListenerIsToldOfEveryChangeUntilItIsTakenAway) {
  std::atomic<std::uint64_t> last{0};
  store().on_change([&](std::uint64_t sequence) { last = sequence; });
  const std::string id = submit();
  const auto expected = must(&JobStore::changes_since, ChangesRequest{}).last;
  for (int i = 0; i < 1'000 && last != expected; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(last, expected);
  store().on_change({});
  must(&JobStore::request_cancel, id);
  submit();
  EXPECT_EQ(last, expected);
}

TEST_P(JobStoreContract, ACallbackMayAskForMore) {
  std::promise<std::string> found;
  store().submit({make_spec(), "owner", {}}, [&](base::Result<Submitted> submitted) {
    store().find(submitted->id, [&](base::Result<std::optional<model::JobRecord>> job) {
      found.set_value((*job)->owner);
    });
  });
  EXPECT_EQ(found.get_future().get(), "owner");
}

TEST_P(JobStoreContract, WhatIsAskedBeforeTheEndIsAnsweredBeforeTheEnd) {
  std::atomic<int> answered{0};
  for (int i = 0; i < 200; ++i) {
    store().submit({make_spec(), "owner", {}}, [&](base::Result<Submitted> submitted) {
      answered += submitted.has_value() ? 1 : 0;
    });
  }
  bed_->reopen();
  EXPECT_EQ(answered, 200);
  EXPECT_EQ(must(&JobStore::count, std::nullopt)[0], 200U);
}

TEST_P(JobStoreContract, AChainOfCallsEndsWithTheStore) {
  std::atomic<int> answered{0};
  std::promise<ErrorCode> end;
  JobStore& asked = store();
  std::function<void()> next = [&] {
    asked.submit({make_spec(), "owner", {}}, [&](base::Result<Submitted> submitted) {
      if (!submitted) return end.set_value(submitted.error().code);
      ++answered;
      asked.find(submitted->id, [&](base::Result<std::optional<model::JobRecord>> job) {
        if (!job) return end.set_value(job.error().code);
        EXPECT_TRUE(job->has_value());
        next();
      });
    });
  };
  next();
  while (answered < 5) std::this_thread::yield();
  bed_->close();
  EXPECT_EQ(end.get_future().get(), ErrorCode::kCancelled);
}

}  // namespace
}  // namespace airlock::store
