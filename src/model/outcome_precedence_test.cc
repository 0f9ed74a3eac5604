// Every pair of causes that can be true at once, and which of them is the verdict.
#include <gtest/gtest.h>

#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "model/outcome.h"

namespace airlock::model {
namespace {

constexpr int wait_status_of_exit(int code) { return code << 8; }

// One thing that can be observed, and the verdict if it is the only one.
struct Cause {
  std::string name;
  OutcomeKind verdict;
  std::function<void(ProcessFacts&)> add;
};

void exit_with(ProcessFacts& facts, int code) {
  facts.has_exit_status = true;
  facts.wait_status = wait_status_of_exit(code);
}

void end_by(ProcessFacts& facts, int signal) {
  facts.has_exit_status = true;
  facts.wait_status = signal;
}

void fail_if_unset(ProcessFacts& facts) {
  if (!facts.has_exit_status) exit_with(facts, 1);
}

Cause killed_for(std::string name, OutcomeKind verdict, KillReason reason) {
  return {std::move(name), verdict, [reason](ProcessFacts& facts) {
            facts.kill_reason = reason;
            if (!facts.has_exit_status) end_by(facts, SIGKILL);
          }};
}

// From the strongest to the weakest. Causes of one group exclude one another: there is one reason
// to kill and one wait status.
std::vector<std::vector<Cause>> causes_by_strength() {
  return {
      {{"cancelled", OutcomeKind::kCancelled, [](ProcessFacts& facts) { facts.cancelled = true; }}},
      {{"setup", OutcomeKind::kSetupFailed,
        [](ProcessFacts& facts) { facts.setup_failure = SetupFailure{"mount_proc", 1, ""}; }}},
      {killed_for("wall", OutcomeKind::kWallTimeout, KillReason::kWallTime),
       killed_for("cpu", OutcomeKind::kCpuTimeout, KillReason::kCpuTime),
       killed_for("output", OutcomeKind::kOutputLimit, KillReason::kOutputLimit)},
      {{"oom", OutcomeKind::kOutOfMemory,
        [](ProcessFacts& facts) {
          facts.oom_kills = 1;
          if (!facts.has_exit_status) exit_with(facts, 0);
        }}},
      {{"denied", OutcomeKind::kDenied,
        [](ProcessFacts& facts) {
          facts.denials.push_back({"ptrace", "seccomp default: ptrace", "none"});
          fail_if_unset(facts);
        }}},
      {{"disk", OutcomeKind::kDiskLimit,
        [](ProcessFacts& facts) {
          facts.disk_full = true;
          fail_if_unset(facts);
        }},
       {"inodes", OutcomeKind::kDiskLimit,
        [](ProcessFacts& facts) {
          facts.inodes_full = true;
          fail_if_unset(facts);
        }}},
      {{"pids", OutcomeKind::kProcessLimit,
        [](ProcessFacts& facts) {
          facts.pids_denied = 3;
          fail_if_unset(facts);
        }}},
  };
}

TEST(OutcomePrecedenceTest, EachCauseAloneIsItsOwnVerdict) {
  for (const auto& group : causes_by_strength()) {
    for (const Cause& cause : group) {
      ProcessFacts facts;
      cause.add(facts);
      EXPECT_EQ(outcome_name(classify(facts).kind), outcome_name(cause.verdict)) << cause.name;
    }
  }
}

TEST(OutcomePrecedenceTest, OfEveryTwoCausesTheStrongerIsTheVerdict) {
  const auto groups = causes_by_strength();
  int pairs = 0;
  for (std::size_t strong = 0; strong < groups.size(); ++strong) {
    for (std::size_t weak = strong + 1; weak < groups.size(); ++weak) {
      for (const Cause& winner : groups[strong]) {
        for (const Cause& loser : groups[weak]) {
          // The weaker cause comes first, so that its exit status is the one that is seen.
          ProcessFacts facts;
          loser.add(facts);
          winner.add(facts);
          EXPECT_EQ(outcome_name(classify(facts).kind), outcome_name(winner.verdict))
              << winner.name << " over " << loser.name;
          ++pairs;
        }
      }
    }
  }
  EXPECT_EQ(pairs, 41);
}

TEST(OutcomePrecedenceTest, EveryCauseWinsOverAPlainExitCode) {
  for (const auto& group : causes_by_strength()) {
    for (const Cause& cause : group) {
      ProcessFacts facts;
      exit_with(facts, 9);
      cause.add(facts);
      const Outcome outcome = classify(facts);
      EXPECT_EQ(outcome_name(outcome.kind), outcome_name(cause.verdict)) << cause.name;
      EXPECT_EQ(outcome.exit_code, 9) << cause.name;
    }
  }
}

TEST(OutcomePrecedenceTest, AgainstASignalOnlyWhatNeedsNoExitCodeWins) {
  for (const auto& group : causes_by_strength()) {
    for (const Cause& cause : group) {
      ProcessFacts facts;
      end_by(facts, SIGSEGV);
      cause.add(facts);
      const bool needs_exit_code =
          cause.verdict == OutcomeKind::kDiskLimit || cause.verdict == OutcomeKind::kProcessLimit;
      const OutcomeKind expected = needs_exit_code ? OutcomeKind::kSignalled : cause.verdict;
      const Outcome outcome = classify(facts);
      EXPECT_EQ(outcome_name(outcome.kind), outcome_name(expected)) << cause.name;
      EXPECT_EQ(outcome.signal, SIGSEGV) << cause.name;
    }
  }
}

TEST(OutcomePrecedenceTest, WithExitCodeZeroOnlyWhatWeDidOrTheKernelKilledWins) {
  for (const auto& group : causes_by_strength()) {
    for (const Cause& cause : group) {
      ProcessFacts facts;
      exit_with(facts, 0);
      cause.add(facts);
      const bool needs_failure = cause.verdict == OutcomeKind::kDenied ||
                                 cause.verdict == OutcomeKind::kDiskLimit ||
                                 cause.verdict == OutcomeKind::kProcessLimit;
      const OutcomeKind expected = needs_failure ? OutcomeKind::kExited : cause.verdict;
      const Outcome outcome = classify(facts);
      EXPECT_EQ(outcome_name(outcome.kind), outcome_name(expected)) << cause.name;
      EXPECT_EQ(outcome.exit_code, 0) << cause.name;
    }
  }
}

TEST(OutcomePrecedenceTest, AllCausesAtOnceAreCancelled) {
  ProcessFacts facts;
  for (const auto& group : causes_by_strength()) group.front().add(facts);
  EXPECT_EQ(classify(facts).kind, OutcomeKind::kCancelled);
}

}  // namespace
}  // namespace airlock::model
