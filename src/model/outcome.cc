#include "model/outcome.h"

#include <string.h>
#include <sys/wait.h>
#include <cerrno>
#include <string_view>

#include "model/limits.h"

namespace airlock::model {
namespace {

constexpr std::string_view kExecStage = "exec";

bool killed_for(const ProcessFacts& facts, KillReason reason) {
  return facts.kill_reason == reason;
}

bool is_exit(const ProcessFacts& facts) {
  return facts.has_exit_status && WIFEXITED(facts.wait_status);
}

bool is_signal(const ProcessFacts& facts) {
  return facts.has_exit_status && WIFSIGNALED(facts.wait_status);
}

bool is_nonzero_exit(const ProcessFacts& facts) {
  return is_exit(facts) && WEXITSTATUS(facts.wait_status) != 0;
}

// The precedence of the verdict: the first line that holds is it.
OutcomeKind find_kind(const ProcessFacts& facts) {
  const bool failed = is_nonzero_exit(facts) || is_signal(facts);
  if (facts.cancelled || killed_for(facts, KillReason::kCancelled)) return OutcomeKind::kCancelled;
  if (facts.setup_failure) return OutcomeKind::kSetupFailed;
  if (killed_for(facts, KillReason::kWallTime)) return OutcomeKind::kWallTimeout;
  if (killed_for(facts, KillReason::kCpuTime)) return OutcomeKind::kCpuTimeout;
  if (killed_for(facts, KillReason::kOutputLimit)) return OutcomeKind::kOutputLimit;
  if (killed_for(facts, KillReason::kDisk)) return OutcomeKind::kDiskLimit;
  // Also when only a child died of it and its parent took no notice.
  if (killed_for(facts, KillReason::kMemory) || facts.oom_kills > 0) {
    return OutcomeKind::kOutOfMemory;
  }
  if (killed_for(facts, KillReason::kPolicy)) return OutcomeKind::kDenied;
  if (failed && !facts.denials.empty()) return OutcomeKind::kDenied;
  if (is_nonzero_exit(facts) && (facts.disk_full || facts.inodes_full)) {
    return OutcomeKind::kDiskLimit;
  }
  if (is_nonzero_exit(facts) && facts.pids_denied > 0) return OutcomeKind::kProcessLimit;
  if (is_signal(facts)) return OutcomeKind::kSignalled;
  if (is_exit(facts)) return OutcomeKind::kExited;
  // Nothing was killed, nothing failed to start, and yet nobody saw an end: the run proves nothing.
  return OutcomeKind::kSetupFailed;
}

std::vector<LimitKind> find_limits_hit(const ProcessFacts& facts) {
  std::vector<LimitKind> hit;
  const auto add_if = [&hit](bool touched, LimitKind kind) {
    if (touched) hit.push_back(kind);
  };
  add_if(killed_for(facts, KillReason::kWallTime), LimitKind::kWall);
  add_if(killed_for(facts, KillReason::kCpuTime), LimitKind::kCpu);
  add_if(killed_for(facts, KillReason::kMemory) || facts.oom_kills > 0, LimitKind::kMemory);
  add_if(facts.pids_denied > 0, LimitKind::kPids);
  add_if(killed_for(facts, KillReason::kOutputLimit) || facts.output_truncated, LimitKind::kOutput);
  add_if(facts.disk_full || killed_for(facts, KillReason::kDisk), LimitKind::kDisk);
  add_if(facts.inodes_full, LimitKind::kInodes);
  return hit;
}

std::string setup_detail(const ProcessFacts& facts) {
  if (!facts.setup_failure) return "the sandbox ended without reporting how the program ended";
  const SetupFailure& failure = *facts.setup_failure;
  // All stages but this one are the sandbox's.
  std::string text = failure.stage == kExecStage ? "could not start the program: "
                                                 : "could not set up the sandbox: ";
  text += failure.stage;
  if (failure.os_errno != 0) text += std::string(": ") + strerror(failure.os_errno);
  if (!failure.hint.empty()) text += " (" + failure.hint + ")";
  return text;
}

std::string denied_detail(const ProcessFacts& facts) {
  if (facts.denials.empty()) return "killed by the sandbox's policy";
  std::string text = "denied: " + facts.denials.front().what;
  const std::size_t others = facts.denials.size() - 1;
  if (others > 0) text += " and " + std::to_string(others) + " more";
  return text;
}

// " of 512 MiB" where the limits are known.
template <typename T, typename Format>
std::string of_limit(const Limits* limits, T Limits::* field, Format format) {
  return limits == nullptr ? std::string() : " of " + format(limits->*field);
}

std::string disk_detail(const ProcessFacts& facts, const Limits* limits) {
  const auto number = [](std::uint32_t value) { return std::to_string(value); };
  if (facts.disk_full || killed_for(facts, KillReason::kDisk)) {
    return "the disk limit" + of_limit(limits, &Limits::disk, base::format_byte_count) +
           " was used up";
  }
  return "the limit" + of_limit(limits, &Limits::inodes, number) +
         " on files and directories was used up";
}

std::string make_detail(const ProcessFacts& facts, OutcomeKind kind, const Limits* limits) {
  const auto number = [](std::uint32_t value) { return std::to_string(value); };
  switch (kind) {
    case OutcomeKind::kExited: return {};
    case OutcomeKind::kSignalled: return "ended by " + signal_name(WTERMSIG(facts.wait_status));
    case OutcomeKind::kWallTimeout:
      return "ran longer than the wall time limit" +
             of_limit(limits, &Limits::wall_time, base::format_duration);
    case OutcomeKind::kCpuTimeout:
      return "used more than the CPU time limit" +
             of_limit(limits, &Limits::cpu_time, base::format_duration);
    case OutcomeKind::kOutOfMemory:
      return "a process was killed at the memory limit" +
             of_limit(limits, &Limits::memory, base::format_byte_count);
    case OutcomeKind::kOutputLimit:
      return "wrote more than the output limit" +
             of_limit(limits, &Limits::output, base::format_byte_count);
    case OutcomeKind::kDiskLimit: return disk_detail(facts, limits);
    case OutcomeKind::kProcessLimit:
      return "a process or thread was refused at the limit" +
             of_limit(limits, &Limits::pids, number);
    case OutcomeKind::kDenied: return denied_detail(facts);
    case OutcomeKind::kSetupFailed: return setup_detail(facts);
    case OutcomeKind::kCancelled: return "cancelled";
  }
  return {};
}

Outcome make_outcome(const ProcessFacts& facts, const Limits* limits) {
  Outcome outcome;
  outcome.kind = find_kind(facts);
  if (is_exit(facts)) outcome.exit_code = WEXITSTATUS(facts.wait_status);
  if (is_signal(facts)) outcome.signal = WTERMSIG(facts.wait_status);
  outcome.detail = make_detail(facts, outcome.kind, limits);
  outcome.limits_hit = find_limits_hit(facts);
  outcome.has_no_program = outcome.kind == OutcomeKind::kSetupFailed && facts.setup_failure &&
                           facts.setup_failure->stage == kExecStage &&
                           facts.setup_failure->os_errno == ENOENT;
  return outcome;
}

}  // namespace

std::string_view outcome_name(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kExited: return "exited";
    case OutcomeKind::kSignalled: return "signalled";
    case OutcomeKind::kWallTimeout: return "wall_timeout";
    case OutcomeKind::kCpuTimeout: return "cpu_timeout";
    case OutcomeKind::kOutOfMemory: return "out_of_memory";
    case OutcomeKind::kOutputLimit: return "output_limit";
    case OutcomeKind::kDiskLimit: return "disk_limit";
    case OutcomeKind::kProcessLimit: return "process_limit";
    case OutcomeKind::kDenied: return "denied";
    case OutcomeKind::kSetupFailed: return "setup_failed";
    case OutcomeKind::kCancelled: return "cancelled";
  }
  return "unknown";
}

std::string_view limit_name(LimitKind kind) {
  switch (kind) {
    case LimitKind::kWall: return "wall";
    case LimitKind::kCpu: return "cpu";
    case LimitKind::kMemory: return "memory";
    case LimitKind::kPids: return "pids";
    case LimitKind::kOutput: return "output";
    case LimitKind::kDisk: return "disk";
    case LimitKind::kInodes: return "inodes";
    case LimitKind::kFiles: return "files";
  }
  return "unknown";
}

Outcome classify(const ProcessFacts& facts) { return make_outcome(facts, nullptr); }

Outcome classify(const ProcessFacts& facts, const Limits& limits) {
  return make_outcome(facts, &limits);
}

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? "SIG" + std::to_string(signal) : std::string("SIG") + name;
}

}  // namespace airlock::model
