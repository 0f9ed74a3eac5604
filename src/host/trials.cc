#include "host/trials.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>

#include "base/unique_fd.h"
#include "host/child_trial.h"
#include "host/namespace_trial.h"

namespace airlock::host {

namespace {

// Constants of the kernel's uapi that the headers of Debian 12's compiler may lack.
constexpr int kPrSchedCore = 62;            // linux/prctl.h: PR_SCHED_CORE
constexpr int kPrSchedCoreCreate = 1;       // PR_SCHED_CORE_CREATE
constexpr int kPrSchedCoreScopeThread = 0;  // PR_SCHED_CORE_SCOPE_THREAD
constexpr unsigned kFsopenCloexec = 1;      // linux/mount.h: FSOPEN_CLOEXEC

// Closes what a call returned, if it was a descriptor.
bool opened(long result) {
  const base::UniqueFd fd(static_cast<int>(result));
  return result >= 0;
}

// Installs a filter that allows everything. Why safe: the program is valid for its length, and the
// child in which it is installed ends right after.
void install_filter(TrialRecord* record, unsigned flags) {
  sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  const sock_fprog program{.len = 1, .filter = allow};
  if (!note(record, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs")) return;
  note(record, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) >= 0, "seccomp");
}

void try_seccomp_filter(TrialRecord* record) { install_filter(record, 0); }

void try_seccomp_notify(TrialRecord* record) {
  install_filter(record, SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

void try_landlock(TrialRecord* record) {
  // Why safe: with this flag the call only returns the ABI (landlock_create_ruleset(2)).
  record->value = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  note(record, record->value > 0, "landlock_create_ruleset");
}

void try_pidfd(TrialRecord* record) {
  // Why safe: plain numbers; the descriptor is closed.
  note(record, opened(syscall(SYS_pidfd_open, getpid(), 0)), "pidfd_open");
}

// Why safe: without shared memory clone3 is fork; the child leaves at once.
void try_clone3(TrialRecord* record) {
  clone_args arguments{};
  int pidfd = -1;
  arguments.flags = CLONE_PIDFD;
  arguments.exit_signal = SIGCHLD;
  arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
  const long child = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) _exit(0);
  if (note(record, child > 0, "clone3")) waitpid(static_cast<pid_t>(child), nullptr, 0);
}

void try_openat2(TrialRecord* record) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const base::UniqueFd root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  // Why safe: `how` is valid for its size; the descriptor is closed.
  note(record, opened(syscall(SYS_openat2, root.get(), "proc", &how, sizeof how)), "openat2");
}

void try_mount_api(TrialRecord* record) {
  // Why safe: a path of static lifetime; the descriptor is closed and nothing was mounted.
  const bool worked = opened(syscall(SYS_fsopen, "tmpfs", kFsopenCloexec));
  // Without the right to mount the kernel answers EPERM, which says that it has the call.
  note(record, worked || errno == EPERM, "fsopen");
}

void try_core_scheduling(TrialRecord* record) {
  note(record, prctl(kPrSchedCore, kPrSchedCoreCreate, 0, kPrSchedCoreScopeThread, 0) == 0,
       "PR_SCHED_CORE");
}

void try_loop_device(TrialRecord* record) {
  note(record, opened(open("/dev/loop-control", O_RDWR | O_CLOEXEC)), "/dev/loop-control");
}

TrialFunction function_of(Trial trial) {
  switch (trial) {
    case Trial::kNamespaces: return try_namespaces;
    case Trial::kSeccompFilter: return try_seccomp_filter;
    case Trial::kSeccompNotify: return try_seccomp_notify;
    case Trial::kLandlock: return try_landlock;
    case Trial::kPidfd: return try_pidfd;
    case Trial::kClone3: return try_clone3;
    case Trial::kOpenat2: return try_openat2;
    case Trial::kMountApi: return try_mount_api;
    case Trial::kCoreScheduling: return try_core_scheduling;
    case Trial::kOverlay: return try_overlay;
    case Trial::kLoopDevice: return try_loop_device;
  }
  return nullptr;
}

}  // namespace

Attempt attempt_trial(Trial trial) { return run_in_child(function_of(trial)); }

}  // namespace airlock::host
