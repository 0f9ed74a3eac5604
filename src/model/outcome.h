// Outcome: the one true verdict about one program.
//
// A pure value. `classify` is the only place where facts become a verdict; its precedence is
// cancelled > setup_failed > the limit we killed for > out_of_memory > denied > disk_limit >
// process_limit > signalled > exited (docs/architecture.md explains each).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace airlock::model {

struct Limits;

enum class OutcomeKind {
  kExited,
  kSignalled,
  kWallTimeout,
  kCpuTimeout,
  kOutOfMemory,
  kOutputLimit,
  kDiskLimit,
  kProcessLimit,
  kDenied,
  kSetupFailed,
  kCancelled,
};

// "exited", "wall_timeout", ...: the names of the result object.
std::string_view outcome_name(OutcomeKind kind);

// Limits that can be touched; a bit set, so that `limits_hit` lists all of them.
enum class LimitKind : std::uint8_t {
  kWall,
  kCpu,
  kMemory,
  kPids,
  kOutput,
  kDisk,
  kInodes,
  kFiles
};
std::string_view limit_name(LimitKind kind);  // "wall", "cpu", "memory", "pids", "output", ...

// Why we killed the program, if we did.
enum class KillReason : std::uint8_t {
  kNone = 0,
  kWallTime,
  kCpuTime,
  kOutputLimit,
  kCancelled,
  kMemory,  // cgroup v1: one task was OOM-killed, we killed the rest
  kPolicy,  // a system call that is answered with death (foreign architecture)
  kDisk,    // a disk that is watched, not enforced, was overfull
};

struct Denial {
  std::string what;  // "ptrace", "connect example.com:443"
  std::string rule;  // "seccomp default: ptrace"
  std::string fix;   // what a person would change to allow it
  bool operator==(const Denial&) const = default;
};

// Where and why a sandbox could not be made.
struct SetupFailure {
  std::string stage;  // "clone", "mount_proc", "exec", ...
  int os_errno = 0;
  std::string hint;
};

// What was observed of one process tree, before any judgement.
struct ProcessFacts {
  bool cancelled = false;
  std::optional<SetupFailure> setup_failure;
  KillReason kill_reason = KillReason::kNone;
  bool has_exit_status = false;
  int wait_status = 0;            // as of wait(2)
  std::uint64_t oom_kills = 0;    // rise of the cgroup's oom_kill
  std::uint64_t pids_denied = 0;  // rise of pids.events max
  bool disk_full = false;         // bytes of the writable file system used up at exit
  bool inodes_full = false;
  bool output_truncated = false;
  std::vector<Denial> denials;
};

struct Outcome {
  OutcomeKind kind = OutcomeKind::kSetupFailed;
  std::optional<int> exit_code;
  std::optional<int> signal;
  std::string detail;  // one line for a person, empty for a plain exit
  std::vector<LimitKind> limits_hit;
  bool has_no_program = false;  // kSetupFailed, but the sandbox was there: its program was not
};

Outcome classify(const ProcessFacts& facts);
// The same verdict; its detail names the limit that was hit: "... limit of 512 MiB".
Outcome classify(const ProcessFacts& facts, const Limits& limits);

// "SIGSEGV" for 11; "SIG42" for numbers without a name.
std::string signal_name(int signal);

}  // namespace airlock::model
