#include "sys/raw_clone.h"

#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <csignal>

namespace airlock::sys {
namespace {

constexpr std::size_t kStackBytes = 16 * 1024;

// A new user namespace gives all capabilities, and the exec of anyone but its root takes them away
// unless they are ambient.
void keep_capabilities(std::uint64_t wanted) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  for (int half = 0; half < 2; ++half) {
    const auto bits = static_cast<std::uint32_t>(wanted >> (32 * half));
    data[half].effective = bits;
    data[half].permitted = bits;
    data[half].inheritable = bits;
  }
  // The bounding set is cut by the program, which needs a capability for that.
  raw_call(__NR_capset, raw_word(&header), raw_word(&data[0]));
  for (int capability = 0; capability < 64; ++capability) {
    if ((wanted >> capability & 1) == 0) continue;
    raw_call(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
  }
}

// On a stack of its own, in our memory, until it executes.
[[noreturn]] void run_child(const RawClone* plan) {
  raw_call(__NR_setsid);  // no terminal and no process group of ours can stop it
  long program = plan->program_fd;
  if (program == plan->passed_as) {
    program = raw_call(__NR_fcntl, program, F_DUPFD_CLOEXEC, plan->passed_as + 1);
  }
  raw_call(__NR_dup2, plan->passed_fd, plan->passed_as);
  raw_call(__NR_fcntl, plan->passed_as, F_SETFD, 0);
  raw_call(__NR_close_range, plan->passed_as + 1, ~0u, CLOSE_RANGE_CLOEXEC);
  keep_capabilities(plan->capabilities);
  long failed = plan->directory != nullptr ? raw_call(__NR_chdir, raw_word(plan->directory)) : 0;
  const char* const argv[] = {plan->name, plan->argument, nullptr};
  const char* const environment[] = {nullptr};
  if (failed == 0) {
    failed = raw_call(__NR_execveat, program, raw_word(""), raw_word(&argv[0]),
                      raw_word(&environment[0]), AT_EMPTY_PATH);
  }
  for (;;) raw_call(__NR_exit, -failed);
}

// Returns in the parent only.
long clone_onto(clone_args* arguments, const RawClone* plan) {
  long result;
  register void (*entry)(const RawClone*) __asm__("r12") = run_child;
  register const RawClone* argument __asm__("r13") = plan;
  // Why safe: both registers survive the system call in parent and child. The child has an empty,
  // aligned stack, and never comes back from the call.
  __asm__ volatile(
      "syscall\n"
      "test %%rax, %%rax\n"
      "jnz 1f\n"
      "xor %%ebp, %%ebp\n"
      "mov %%r13, %%rdi\n"
      "call *%%r12\n"
      "1:\n"
      : "=a"(result)
      : "a"(__NR_clone3), "D"(arguments), "S"(sizeof *arguments), "r"(entry), "r"(argument)
      : "rcx", "r11", "memory", "cc");
  return result;
}

}  // namespace

RawChild clone_and_execute(const RawClone& request) {
  // Of one child at a time: it is done with them when it executes. Static ones are zero already;
  // clearing them here could call the C library.
  alignas(16) static char stack[kStackBytes];
  static RawClone plan;
  static clone_args arguments;
  plan = request;
  RawChild child;
  arguments.flags = request.namespaces | CLONE_VM | CLONE_PIDFD;
  if (request.cgroup_fd >= 0) arguments.flags |= CLONE_INTO_CGROUP;
  arguments.cgroup = static_cast<std::uint64_t>(request.cgroup_fd >= 0 ? request.cgroup_fd : 0);
  arguments.pidfd = reinterpret_cast<std::uintptr_t>(&child.pidfd);
  arguments.exit_signal = SIGCHLD;
  arguments.stack = reinterpret_cast<std::uintptr_t>(&stack[0]);
  arguments.stack_size = sizeof stack;
  child.pid = clone_onto(&arguments, &plan);
  return child;
}

}  // namespace airlock::sys
