// The contract of JobStore: what a runner writes down about a job, and its receipts.
#include <limits>
#include <string>

#include "store/contract_bed.h"

namespace airlock::store {
namespace {

using base::ErrorCode;
using model::JobState;

model::PhaseRecord whole_phase(model::WallTime now) {
  model::PhaseRecord phase;
  phase.name = "prep";
  phase.attempt = 2;
  phase.started_at = now;
  phase.ended_at = now + std::chrono::seconds(3);
  phase.outcome =
      model::Outcome{.kind = model::OutcomeKind::kOutOfMemory,
                     .exit_code = 0,
                     .signal = std::nullopt,
                     .detail = "a process was killed",
                     .limits_hit = {model::LimitKind::kMemory, model::LimitKind::kDisk}};
  phase.usage.wall = std::chrono::milliseconds(2'999);
  phase.usage.user = std::chrono::microseconds(17);
  phase.usage.memory_peak = base::gibibytes(9);
  phase.usage.pids_peak = 12;
  phase.isolation.cgroup = model::CgroupVersion::kHybrid;
  phase.isolation.network = "gateway";
  phase.isolation.missing = {"landlock"};
  phase.denied = {{"ptrace", "seccomp default: ptrace", "none"}};
  phase.log_bytes = 1ULL << 40;
  phase.log_truncated = true;
  return phase;
}

JobChange whole_change(model::WallTime now) {
  JobChange change;
  change.state = JobState::kPrep;
  change.phase = "prep";
  change.progress = 50;
  change.resolved_commit = std::string(40, 'c');
  change.source_digest = std::string(64, 's');
  change.build_digest = std::string(64, 'b');
  change.build_cached = true;
  change.gpus = {{0, "GPU-0"}};
  change.phases = {whole_phase(now)};
  change.egress = {{"prep", "pypi.org", 443, true, "", 3, 100, 20'000},
                   {"prep", "evil.example", 22, false, "not in the allow-list", 1, 0, 0}};
  change.seal = model::SealRecord{true, now, 4, 5};
  change.inputs = {{"input_data", base::ByteCount(5ULL << 32), std::string(64, 'i')}};
  change.outputs = {{"a/b.txt", base::ByteCount(0), std::string(64, 'o')}};
  return change;
}

TEST_P(JobStoreContract, EverythingARunnerWritesDownIsThereAfterwards) {
  const std::string id = submit();
  const model::WallTime now = clock().now();
  must(&JobStore::update, claim(id), whole_change(now));
  bed_->reopen();
  const model::JobRecord job = find(id);
  EXPECT_EQ(job.state, JobState::kPrep);
  EXPECT_EQ(job.phase, "prep");
  EXPECT_EQ(job.progress, 50);
  EXPECT_EQ(job.resolved_commit, std::string(40, 'c'));
  EXPECT_EQ(job.source_digest, std::string(64, 's'));
  EXPECT_EQ(job.build_digest, std::string(64, 'b'));
  EXPECT_TRUE(job.build_cached);
  EXPECT_EQ(job.gpus[0].uuid, "GPU-0");
  ASSERT_EQ(job.egress.size(), 2U);
  EXPECT_EQ(job.egress[0].bytes_in, 20'000U);
  EXPECT_EQ(job.egress[1].port, 22);
  EXPECT_FALSE(job.egress[1].allowed);
  EXPECT_EQ(job.egress[1].reason, "not in the allow-list");
  EXPECT_TRUE(job.seal.sealed);
  EXPECT_EQ(job.seal.sealed_at, now);
  EXPECT_EQ(job.seal.processes_killed, 4U);
  EXPECT_EQ(job.seal.connections_closed, 5U);
  ASSERT_EQ(job.inputs.size(), 1U);
  EXPECT_EQ(job.inputs[0].size.count(), 5ULL << 32);
  ASSERT_EQ(job.outputs.size(), 1U);
  EXPECT_EQ(job.outputs[0].path, "a/b.txt");
}

TEST_P(JobStoreContract, APhaseKeepsItsVerdictUsageAndIsolation) {
  const std::string id = submit();
  const model::PhaseRecord given = whole_phase(clock().now());
  JobChange change;
  change.phases = {given};
  must(&JobStore::update, claim(id), change);
  const model::JobRecord job = find(id);
  ASSERT_EQ(job.phases.size(), 1U);
  const model::PhaseRecord& phase = job.phases[0];
  EXPECT_EQ(phase.name, "prep");
  EXPECT_EQ(phase.attempt, 2U);
  EXPECT_EQ(phase.started_at, given.started_at);
  EXPECT_EQ(phase.ended_at, given.ended_at);
  ASSERT_TRUE(phase.outcome.has_value());
  EXPECT_EQ(phase.outcome->kind, model::OutcomeKind::kOutOfMemory);
  EXPECT_EQ(phase.outcome->exit_code, 0);
  EXPECT_FALSE(phase.outcome->signal.has_value());
  EXPECT_EQ(phase.outcome->limits_hit, given.outcome->limits_hit);
  EXPECT_EQ(phase.usage.wall, given.usage.wall);
  EXPECT_EQ(phase.usage.memory_peak, given.usage.memory_peak);
  EXPECT_EQ(phase.usage.pids_peak, given.usage.pids_peak);
  EXPECT_EQ(phase.isolation.cgroup, model::CgroupVersion::kHybrid);
  EXPECT_EQ(phase.isolation.missing, given.isolation.missing);
  EXPECT_EQ(phase.denied, given.denied);
  EXPECT_EQ(phase.log_bytes, given.log_bytes);
  EXPECT_TRUE(phase.log_truncated);
}

TEST_P(JobStoreContract, WhatIsWrittenDownTwiceIsThereOnce) {
  const std::string id = submit();
  const JobClaim held = claim(id);
  JobChange change = whole_change(clock().now());
  must(&JobStore::update, held, change);
  change.phases[0].log_bytes = 7;
  change.phases.push_back(make_phase("inference"));
  change.egress[0].bytes_in = 1;
  must(&JobStore::update, held, change);
  const model::JobRecord job = find(id);
  ASSERT_EQ(job.phases.size(), 2U);
  EXPECT_EQ(job.phases[0].log_bytes, 7U);
  EXPECT_EQ(job.phases[1].name, "inference");
  ASSERT_EQ(job.egress.size(), 2U);
  EXPECT_EQ(job.egress[0].bytes_in, 1U);
}

TEST_P(JobStoreContract, AChangeThatIsRefusedLeavesNothingBehind) {
  const std::string id = submit();
  const JobClaim held = claim(id);
  JobChange change = whole_change(clock().now());
  change.state = JobState::kCompleted;  // which does not follow cloning
  refused(&JobStore::update, held, change);
  change.state = JobState::kFailed;
  change.receipt = ReceiptLink{"not the last one", "hash"};
  refused(&JobStore::update, held, change);
  const model::JobRecord job = find(id);
  EXPECT_EQ(job.state, JobState::kCloning);
  EXPECT_EQ(job.phase, "");
  EXPECT_TRUE(job.phases.empty());
  EXPECT_TRUE(job.outputs.empty());
  EXPECT_FALSE(job.has_receipt);
}

TEST_P(JobStoreContract, AJobCanEndWhateverBytesItsProgramPrinted) {
  const std::string id = submit();
  JobChange change;
  change.state = JobState::kFailed;
  change.error_message = "bad \xff\xfe byte " + std::string(100'000, 'x');
  change.egress = {{.phase = "prep", .host = "\xc0\x80", .reason = "no name"}};
  change.phases = {make_phase("prep")};
  change.phases[0].denied = {{"\xed\xa0\x80", "r", "f"}};
  must(&JobStore::update, claim(id), change);
  bed_->reopen();
  const model::JobRecord job = find(id);
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_TRUE(job.error_message.starts_with("bad \xef\xbf\xbd\xef\xbf\xbd byte x"));
  EXPECT_LE(job.error_message.size(), kTextBytesMax);
  EXPECT_EQ(job.egress.size(), 1U);
}

TEST_P(JobStoreContract, TooManyEntriesAreRefusedByName) {
  const JobClaim held = claim(submit());
  JobChange change;
  for (std::size_t i = 0; i <= kPhasesMax; ++i) {
    change.phases.push_back(make_phase("p" + std::to_string(i)));
  }
  const base::Error error = refused(&JobStore::update, held, change);
  EXPECT_EQ(error.code, ErrorCode::kLimitExceeded);
  EXPECT_NE(error.message.find("256 phases"), std::string::npos) << error.message;
}

TEST_P(JobStoreContract, ProgressIsFromNoughtToAHundred) {
  const JobClaim held = claim(submit());
  for (const double progress : {-1.0, 100.5, std::numeric_limits<double>::quiet_NaN()}) {
    JobChange change;
    change.progress = progress;
    EXPECT_EQ(refused(&JobStore::update, held, change).code, ErrorCode::kInvalidArgument);
  }
}

TEST_P(JobStoreContract, AReceiptIsLinkedTogetherWithTheEnd) {
  const std::string id = submit();
  const JobClaim held = claim(id, "runner_a");
  JobChange change;
  change.receipt = ReceiptLink{"", "hash-1"};
  EXPECT_EQ(refused(&JobStore::update, held, change).code, ErrorCode::kInvalidArgument);
  change.state = JobState::kFailed;
  must(&JobStore::update, held, change);
  EXPECT_TRUE(find(id).has_receipt);
  bed_->reopen();
  const auto runner = must(&JobStore::find_runner, std::string("runner_a"));
  ASSERT_TRUE(runner.has_value());
  EXPECT_EQ(runner->receipt_hash, "hash-1");
  EXPECT_FALSE(must(&JobStore::find_runner, std::string("runner_b")).has_value());
}

TEST_P(JobStoreContract, TwoReceiptsNeverFollowTheSameOne) {
  const JobClaim one = claim(submit(), "runner_a");
  const JobClaim two = claim(submit(), "runner_a");
  const JobClaim other = claim(submit(), "runner_b");
  JobChange change;
  change.state = JobState::kFailed;
  change.receipt = ReceiptLink{"", "hash-1"};
  must(&JobStore::update, one, change);
  change.receipt = ReceiptLink{"", "hash-2"};
  EXPECT_EQ(refused(&JobStore::update, two, change).code, ErrorCode::kBusy);
  EXPECT_EQ(find(two.id).state, JobState::kCloning);
  change.receipt->previous = "hash-1";
  must(&JobStore::update, two, change);
  EXPECT_EQ(must(&JobStore::find_runner, std::string("runner_a"))->receipt_hash, "hash-2");
  // Every runner has a chain of its own.
  change.receipt = ReceiptLink{"", "hash-3"};
  must(&JobStore::update, other, change);
}

}  // namespace
}  // namespace airlock::store
