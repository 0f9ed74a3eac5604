// The contract of JobStore: the history, its filters and pages, counts, and pruning.
#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include "store/contract_bed.h"

namespace airlock::store {
namespace {

using base::ErrorCode;
using model::JobState;

std::vector<std::string> ids_of(const JobPage& page) {
  std::vector<std::string> ids;
  for (const model::JobRecord& job : page.jobs) ids.push_back(job.id);
  return ids;
}

model::JobSpec from(std::string validator, std::string miner, std::string weight = "1xH200") {
  model::JobSpec spec = make_spec(std::move(weight));
  spec.validator_hotkey = std::move(validator);
  spec.miner_hotkey = std::move(miner);
  return spec;
}

TEST_P(JobStoreContract, PagesTogetherAreTheWholeHistoryNewestFirst) {
  std::vector<std::string> expected;
  for (int i = 0; i < 23; ++i) expected.insert(expected.begin(), submit());
  std::vector<std::string> seen;
  JobFilter filter;
  filter.limit = 5;
  int pages = 0;
  do {
    const JobPage page = must(&JobStore::list, filter);
    for (const std::string& id : ids_of(page)) seen.push_back(id);
    filter.cursor = page.next;
    // What comes meanwhile is newer and on no later page.
    submit();
    ++pages;
  } while (!filter.cursor.empty() && pages < 100);
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(pages, 5);
}

TEST_P(JobStoreContract, EveryFilterFindsItsJobsAndNoOthers) {
  const std::string a = submit(from("v1", "m1"), "o1");
  const std::string b = submit(from("v1", "m2", "2xH200"), "o2");
  const std::string c = submit(from("v2", "m1"), "o1");
  const std::string d = ended(JobState::kCompleted, from("v2", "m2"), "o1");
  using Ids = std::vector<std::string>;
  const auto found = [&](auto set) {
    JobFilter filter;
    set(filter);
    return ids_of(must(&JobStore::list, filter));
  };
  EXPECT_EQ(found([](JobFilter& f) { f.owner = "o1"; }), (Ids{d, c, a}));
  EXPECT_EQ(found([](JobFilter& f) { f.validator_hotkey = "v1"; }), (Ids{b, a}));
  EXPECT_EQ(found([](JobFilter& f) { f.miner_hotkey = "m1"; }), (Ids{c, a}));
  EXPECT_EQ(found([](JobFilter& f) { f.weight_class = "2xH200"; }), (Ids{b}));
  EXPECT_EQ(found([](JobFilter& f) { f.states = {JobState::kPending}; }), (Ids{c, b, a}));
  EXPECT_EQ(found([](JobFilter& f) {
              f.states = {JobState::kCompleted, JobState::kPending, JobState::kFailed};
            }),
            (Ids{d, c, b, a}));
  EXPECT_EQ(found([](JobFilter& f) {
              f.owner = "o1";
              f.miner_hotkey = "m2";
            }),
            (Ids{d}));
  EXPECT_EQ(found([](JobFilter& f) {
              f.owner = "o1";
              f.validator_hotkey = "v2";
              f.miner_hotkey = "m1";
              f.weight_class = "1xH200";
              f.states = {JobState::kPending};
            }),
            (Ids{c}));
  EXPECT_EQ(found([&](JobFilter& f) { f.text = b.substr(4); }), (Ids{b}));
  EXPECT_EQ(found([](JobFilter& f) { f.text = "SomeOne/"; }).size(), 4U);
  EXPECT_EQ(found([](JobFilter& f) { f.text = "100%_"; }), Ids{});
  EXPECT_EQ(found([](JobFilter& f) { f.owner = "nobody"; }), Ids{});
}

TEST_P(JobStoreContract, TimeRangesHaveTheirStartAndNotTheirEnd) {
  std::array<std::string, 4> ids;
  std::array<model::WallTime, 4> times;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    clock().advance(std::chrono::minutes(1));
    times[i] = clock().now();
    ids[i] = submit();
  }
  JobFilter filter;
  filter.submitted_from = times[1];
  filter.submitted_before = times[3];
  EXPECT_EQ(ids_of(must(&JobStore::list, filter)), (std::vector{ids[2], ids[1]}));
  filter.limit = 1;
  const JobPage page = must(&JobStore::list, filter);
  EXPECT_EQ(ids_of(page), std::vector{ids[2]});
  filter.cursor = page.next;
  const JobPage last = must(&JobStore::list, filter);
  EXPECT_EQ(ids_of(last), std::vector{ids[1]});
  EXPECT_TRUE(last.next.empty());
  filter = {};
  filter.submitted_from = times[3] + std::chrono::microseconds(1);
  EXPECT_TRUE(must(&JobStore::list, filter).jobs.empty());
  filter = {};
  filter.submitted_before = times[0];
  EXPECT_TRUE(must(&JobStore::list, filter).jobs.empty());
}

TEST_P(JobStoreContract, ABadLimitOrCursorIsRefused) {
  JobFilter filter;
  filter.limit = 0;
  EXPECT_EQ(refused(&JobStore::list, filter).code, ErrorCode::kInvalidArgument);
  filter.limit = kListMax + 1;
  EXPECT_EQ(refused(&JobStore::list, filter).code, ErrorCode::kInvalidArgument);
  filter.limit = 1;
  for (const char* const cursor : {"x", "-1", "0", "99999999999999999999", "1 OR 1=1", "1x"}) {
    filter.cursor = cursor;
    EXPECT_EQ(refused(&JobStore::list, filter).code, ErrorCode::kInvalidArgument) << cursor;
  }
}

TEST_P(JobStoreContract, CountsAreExactOfAllAndOfEachOwner) {
  submit(make_spec(), "o1");
  ended(JobState::kFailed, make_spec(), "o1");
  ended(JobState::kFailed, make_spec(), "o2");
  claim(submit(make_spec(), "o2"));
  must(&JobStore::release, claim(submit(make_spec(), "o2")), std::string());
  const auto of = [&](std::optional<std::string> owner, JobState state) {
    return must(&JobStore::count, owner)[static_cast<std::size_t>(state)];
  };
  EXPECT_EQ(of(std::nullopt, JobState::kPending), 2U);
  EXPECT_EQ(of(std::nullopt, JobState::kFailed), 2U);
  EXPECT_EQ(of(std::nullopt, JobState::kCloning), 1U);
  EXPECT_EQ(of("o1", JobState::kPending), 1U);
  EXPECT_EQ(of("o1", JobState::kCloning), 0U);
  EXPECT_EQ(of("o2", JobState::kFailed), 1U);
  EXPECT_EQ(of("o3", JobState::kFailed), 0U);
}

TEST_P(JobStoreContract, PruningByAgeTakesWhatEndedBefore) {
  const std::string waits = submit();
  const std::string runs = submit();
  claim(runs);
  const std::string old = ended(JobState::kFailed);
  clock().advance(std::chrono::hours(1));
  const std::string young = ended(JobState::kFailed);
  const auto pruned = must(
      &JobStore::prune, PruneRequest{.ended_before = clock().now(), .keep_at_most = std::nullopt});
  EXPECT_EQ(pruned.ids, std::vector{old});
  EXPECT_FALSE(pruned.more);
  EXPECT_FALSE(must(&JobStore::find, old).has_value());
  EXPECT_EQ(ids_of(must(&JobStore::list, JobFilter{})), (std::vector{young, runs, waits}));
  EXPECT_EQ(must(&JobStore::count, std::nullopt)[static_cast<std::size_t>(JobState::kFailed)], 1U);
}

TEST_P(JobStoreContract, PruningByCountTakesTheOldestAndNeverWhatHasNotEnded) {
  std::vector<std::string> over;
  for (int i = 0; i < 5; ++i) {
    over.push_back(ended(JobState::kTimeout));
    submit();
  }
  const auto pruned =
      must(&JobStore::prune, PruneRequest{.ended_before = std::nullopt, .keep_at_most = 2});
  EXPECT_EQ(pruned.ids, (std::vector{over[0], over[1], over[2]}));
  EXPECT_EQ(must(&JobStore::list, JobFilter{}).jobs.size(), 7U);
  EXPECT_TRUE(must(&JobStore::prune, PruneRequest{}).ids.empty());
}

TEST_P(JobStoreContract, ALongPruningGoesInSteps) {
  for (std::size_t i = 0; i < kPruneMax + 5; ++i) {
    store().submit({make_spec(), "owner", {}}, [this](base::Result<Submitted> submitted) {
      store().request_cancel(submitted->id, [](base::Result<JobHead>) {});
    });
  }
  const std::string last = submit();
  must(&JobStore::request_cancel, last);
  const PruneRequest request{.ended_before = std::nullopt, .keep_at_most = 0};
  std::set<std::string> gone;
  for (bool more = true; more;) {
    const auto pruned = must(&JobStore::prune, request);
    EXPECT_LE(pruned.ids.size(), kPruneMax);
    gone.insert(pruned.ids.begin(), pruned.ids.end());
    more = pruned.more;
  }
  EXPECT_EQ(gone.size(), kPruneMax + 6);
}

TEST_P(JobStoreContract, AKeyGoesWithItsJob) {
  const Submission submission{make_spec(), "owner", "k"};
  const auto first = must(&JobStore::submit, submission);
  must(&JobStore::request_cancel, first.id);
  must(&JobStore::prune, PruneRequest{.ended_before = std::nullopt, .keep_at_most = 0});
  EXPECT_FALSE(must(&JobStore::submit, submission).replayed);
}

}  // namespace
}  // namespace airlock::store
