#include "model/outcome.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <set>

#include "model/limits.h"

namespace airlock::model {
namespace {

using Hits = std::vector<LimitKind>;

ProcessFacts exited(int code) {
  ProcessFacts facts;
  facts.has_exit_status = true;
  facts.wait_status = code << 8;
  return facts;
}

ProcessFacts signalled(int signal) {
  ProcessFacts facts;
  facts.has_exit_status = true;
  facts.wait_status = signal;
  return facts;
}

ProcessFacts killed(KillReason reason) {
  ProcessFacts facts = signalled(SIGKILL);
  facts.kill_reason = reason;
  return facts;
}

TEST(OutcomeTest, AnExitKeepsItsCodeAndNeedsNoWords) {
  for (const int code : {0, 1, 127, 255}) {
    const Outcome outcome = classify(exited(code));
    EXPECT_EQ(outcome.kind, OutcomeKind::kExited);
    EXPECT_EQ(outcome.exit_code, code);
    EXPECT_EQ(outcome.signal, std::nullopt);
    EXPECT_EQ(outcome.detail, "");
    EXPECT_EQ(outcome.limits_hit, Hits{});
  }
}

TEST(OutcomeTest, ASignalTheGuestRaisedItselfIsASignal) {
  for (const int signal : {SIGSEGV, SIGABRT, SIGKILL, SIGSYS, SIGXCPU}) {
    const Outcome outcome = classify(signalled(signal));
    EXPECT_EQ(outcome.kind, OutcomeKind::kSignalled);
    EXPECT_EQ(outcome.signal, signal);
    EXPECT_EQ(outcome.exit_code, std::nullopt);
    EXPECT_EQ(outcome.detail, "ended by " + signal_name(signal));
  }
}

TEST(OutcomeTest, ACoreDumpIsTheSameSignal) {
  constexpr int kCoreFlag = 0x80;  // of a wait status
  const Outcome outcome = classify(signalled(SIGSEGV | kCoreFlag));
  EXPECT_EQ(outcome.kind, OutcomeKind::kSignalled);
  EXPECT_EQ(outcome.signal, SIGSEGV);
}

TEST(OutcomeTest, AChildKilledForMemoryIsOutOfMemoryAlsoIfTheParentExitsWithZero) {
  ProcessFacts facts = exited(0);
  facts.oom_kills = 1;
  const Outcome outcome = classify(facts);
  EXPECT_EQ(outcome.kind, OutcomeKind::kOutOfMemory);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.limits_hit, Hits{LimitKind::kMemory});
}

TEST(OutcomeTest, KillingTheRestOfTheGroupIsOutOfMemory) {
  const Outcome outcome = classify(killed(KillReason::kMemory));
  EXPECT_EQ(outcome.kind, OutcomeKind::kOutOfMemory);
  EXPECT_EQ(outcome.signal, SIGKILL);
  EXPECT_EQ(outcome.limits_hit, Hits{LimitKind::kMemory});
}

TEST(OutcomeTest, ASystemCallAnsweredWithDeathIsDenied) {
  ProcessFacts facts = signalled(SIGSYS);
  facts.kill_reason = KillReason::kPolicy;
  Outcome outcome = classify(facts);
  EXPECT_EQ(outcome.kind, OutcomeKind::kDenied);
  EXPECT_EQ(outcome.signal, SIGSYS);
  EXPECT_EQ(outcome.detail, "killed by the sandbox's policy");
  EXPECT_EQ(outcome.limits_hit, Hits{});
  facts.wait_status = 0;  // a child died of it, the parent exits 0
  EXPECT_EQ(classify(facts).kind, OutcomeKind::kDenied);
}

TEST(OutcomeTest, ADenialThatTheGuestSurvivedIsNoOutcome) {
  ProcessFacts facts = exited(0);
  facts.denials = {{"ptrace", "seccomp default: ptrace", ""}};
  EXPECT_EQ(classify(facts).kind, OutcomeKind::kExited);
  facts = signalled(SIGABRT);
  facts.denials = {{"ptrace", "seccomp default: ptrace", ""}};
  EXPECT_EQ(classify(facts).kind, OutcomeKind::kDenied);
}

TEST(OutcomeTest, AFullDiskThatTheGuestHandledIsNoOutcomeButIsListed) {
  ProcessFacts facts = exited(0);
  facts.disk_full = true;
  const Outcome outcome = classify(facts);
  EXPECT_EQ(outcome.kind, OutcomeKind::kExited);
  EXPECT_EQ(outcome.limits_hit, Hits{LimitKind::kDisk});
}

TEST(OutcomeTest, ARefusedProcessThatTheGuestHandledIsNoOutcomeButIsListed) {
  ProcessFacts facts = exited(0);
  facts.pids_denied = 12;
  const Outcome outcome = classify(facts);
  EXPECT_EQ(outcome.kind, OutcomeKind::kExited);
  EXPECT_EQ(outcome.limits_hit, Hits{LimitKind::kPids});
}

TEST(OutcomeTest, TruncatedOutputIsListedAlsoIfNobodyWasKilledForIt) {
  ProcessFacts facts = exited(0);
  facts.output_truncated = true;
  const Outcome outcome = classify(facts);
  EXPECT_EQ(outcome.kind, OutcomeKind::kExited);
  EXPECT_EQ(outcome.limits_hit, Hits{LimitKind::kOutput});
}

TEST(OutcomeTest, EveryLimitThatWasTouchedIsListedInOneOrder) {
  ProcessFacts facts = killed(KillReason::kWallTime);
  facts.inodes_full = facts.disk_full = facts.output_truncated = true;
  facts.pids_denied = 1;
  facts.oom_kills = 1;
  EXPECT_EQ(classify(facts).limits_hit,
            (Hits{LimitKind::kWall, LimitKind::kMemory, LimitKind::kPids, LimitKind::kOutput,
                  LimitKind::kDisk, LimitKind::kInodes}));
  facts.cancelled = true;
  EXPECT_EQ(classify(facts).limits_hit.size(), 6u);
  EXPECT_EQ(classify(killed(KillReason::kCpuTime)).limits_hit, Hits{LimitKind::kCpu});
  EXPECT_EQ(classify(killed(KillReason::kOutputLimit)).limits_hit, Hits{LimitKind::kOutput});
}

TEST(OutcomeTest, KilledOnRequestIsCancelled) {
  const Outcome outcome = classify(killed(KillReason::kCancelled));
  EXPECT_EQ(outcome.kind, OutcomeKind::kCancelled);
  EXPECT_EQ(outcome.detail, "cancelled");
  EXPECT_EQ(outcome.limits_hit, Hits{});
}

TEST(OutcomeTest, ASetupFailureNamesStageReasonAndHint) {
  ProcessFacts facts;
  facts.setup_failure = SetupFailure{"clone", EPERM, "sysctl kernel.unprivileged_userns_clone=1"};
  const Outcome outcome = classify(facts);
  EXPECT_EQ(outcome.kind, OutcomeKind::kSetupFailed);
  EXPECT_EQ(outcome.exit_code, std::nullopt);
  EXPECT_EQ(outcome.detail,
            "could not set up the sandbox: clone: Operation not permitted "
            "(sysctl kernel.unprivileged_userns_clone=1)");
}

TEST(OutcomeTest, AProgramThatCannotBeStartedIsNoFaultOfTheSandbox) {
  ProcessFacts facts;
  facts.setup_failure = SetupFailure{"exec", ENOEXEC, "no executable"};
  EXPECT_EQ(classify(facts).detail,
            "could not start the program: exec: Exec format error (no executable)");
  EXPECT_FALSE(classify(facts).has_no_program);
  facts.setup_failure->os_errno = ENOENT;
  EXPECT_TRUE(classify(facts).has_no_program);
}

TEST(OutcomeTest, ARunWhoseEndNobodySawProvesNothing) {
  const Outcome outcome = classify(ProcessFacts{});
  EXPECT_EQ(outcome.kind, OutcomeKind::kSetupFailed);
  EXPECT_NE(outcome.detail, "");
}

TEST(OutcomeTest, TheDetailNamesTheLimitWhereItIsKnown) {
  Limits limits;
  limits.wall_time = std::chrono::milliseconds(1500);
  limits.memory = base::mebibytes(64);
  EXPECT_EQ(classify(killed(KillReason::kWallTime)).detail, "ran longer than the wall time limit");
  EXPECT_EQ(classify(killed(KillReason::kWallTime), limits).detail,
            "ran longer than the wall time limit of 1.50 s");
  EXPECT_EQ(classify(killed(KillReason::kCpuTime), limits).detail,
            "used more than the CPU time limit of 10.00 s");
  EXPECT_EQ(classify(killed(KillReason::kMemory), limits).detail,
            "a process was killed at the memory limit of 64 MiB");
  EXPECT_EQ(classify(killed(KillReason::kOutputLimit), limits).detail,
            "wrote more than the output limit of 8 MiB");
}

TEST(OutcomeTest, TheDetailOfAResourceUsedUpNamesWhichOne) {
  const Limits limits;
  ProcessFacts facts = exited(1);
  facts.pids_denied = 1;
  EXPECT_EQ(classify(facts, limits).detail, "a process or thread was refused at the limit of 128");
  facts.inodes_full = true;
  EXPECT_EQ(classify(facts, limits).detail,
            "the limit of 65536 on files and directories was used up");
  facts.disk_full = true;
  EXPECT_EQ(classify(facts, limits).detail, "the disk limit of 64 MiB was used up");
}

TEST(OutcomeTest, TheDetailOfADenialNamesTheFirstAndCountsTheOthers) {
  ProcessFacts facts = exited(1);
  facts.denials = {{"ptrace", "", ""}};
  EXPECT_EQ(classify(facts).detail, "denied: ptrace");
  facts.denials.push_back({"bpf", "", ""});
  facts.denials.push_back({"keyctl", "", ""});
  EXPECT_EQ(classify(facts).detail, "denied: ptrace and 2 more");
}

TEST(OutcomeTest, EveryDetailIsOneLine) {
  for (const KillReason reason :
       {KillReason::kWallTime, KillReason::kCpuTime, KillReason::kMemory, KillReason::kOutputLimit,
        KillReason::kCancelled, KillReason::kPolicy}) {
    const Outcome outcome = classify(killed(reason), Limits{});
    EXPECT_NE(outcome.detail, "");
    EXPECT_EQ(outcome.detail.find('\n'), std::string::npos);
  }
}

TEST(OutcomeTest, NamesAreThoseOfTheResultObject) {
  std::set<std::string_view> names;
  for (int kind = 0; kind <= static_cast<int>(OutcomeKind::kCancelled); ++kind) {
    names.insert(outcome_name(static_cast<OutcomeKind>(kind)));
  }
  EXPECT_EQ(names,
            (std::set<std::string_view>{"exited", "signalled", "wall_timeout", "cpu_timeout",
                                        "out_of_memory", "output_limit", "disk_limit",
                                        "process_limit", "denied", "setup_failed", "cancelled"}));
  std::set<std::string_view> limits;
  for (int kind = 0; kind <= static_cast<int>(LimitKind::kFiles); ++kind) {
    limits.insert(limit_name(static_cast<LimitKind>(kind)));
  }
  EXPECT_EQ(limits, (std::set<std::string_view>{"wall", "cpu", "memory", "pids", "output", "disk",
                                                "inodes", "files"}));
}

TEST(SignalNameTest, KnownSignalsHaveTheirNameAndOthersTheirNumber) {
  EXPECT_EQ(signal_name(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(signal_name(SIGKILL), "SIGKILL");
  EXPECT_EQ(signal_name(SIGSYS), "SIGSYS");
  EXPECT_EQ(signal_name(42), "SIG42");
  EXPECT_EQ(signal_name(0), "SIG0");
  EXPECT_EQ(signal_name(-1), "SIG-1");
}

}  // namespace
}  // namespace airlock::model
