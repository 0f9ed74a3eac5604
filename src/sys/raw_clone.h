// Starting a program in namespaces of its own with two system calls and no C library.
//
// The child shares our memory until it executes, so that nothing has to be copied, but has a stack
// of its own: we go on meanwhile. Allocates nothing and touches neither errno nor thread-local
// storage: it may be called before the C library is ready. x86-64 only.
#pragma once

#include <cstdint>

#ifndef __x86_64__
#error "the system call convention of this processor is not known here"
#endif

namespace airlock::sys {

// A system call as the kernel answers it: -errno on failure.
inline long raw_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  // Why safe: the x86-64 system call convention; rcx and r11 are what the kernel overwrites.
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}

template <typename T>
long raw_word(T* pointer) {
  return reinterpret_cast<long>(pointer);
}

// Strings have to last until the child has executed, which nobody waits for.
struct RawClone {
  std::uint64_t namespaces = 0;     // CLONE_NEW*
  int cgroup_fd = -1;               // a v2 group to be born in
  int program_fd = -1;              // of a static program
  const char* name = nullptr;       // its argv[0]; it gets no environment
  const char* argument = nullptr;   // its argv[1]
  const char* directory = nullptr;  // to execute it in; nullptr: ours
  int passed_fd = -1;               // becomes descriptor `passed_as`; it keeps none above
  int passed_as = -1;
  std::uint64_t capabilities = 0;  // of the new user namespace, that it keeps
};

struct RawChild {
  long pid = -1;  // or -errno
  int pidfd = -1;
};

// Not again before the last child executed, and by one thread only. A child that cannot execute
// exits with the errno. The caller owns `pidfd` (close-on-exec) and reaps the child.
RawChild clone_and_execute(const RawClone& request);

}  // namespace airlock::sys
