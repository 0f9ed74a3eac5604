// Seccomp at run time: install a compiled program, and answer what it reports.
//
// The programs themselves are made at build time from policies/seccomp/*.yaml (seccomp_profiles.h);
// nothing here parses or allocates. install_seccomp() is meant for the time between clone and exec:
// raw system calls only. The listener functions are for the keeper, which owns the listener fd,
// polls it, and must answer or close it: a guest waits in its system call until then. A call is let
// go on only if nothing but registers decides about it: they cannot change while the caller waits,
// as memory that they point to can.
#pragma once

#include <linux/filter.h>

#include <array>
#include <cstdint>
#include <span>

namespace airlock::sys {

struct SeccompProgram {
  std::span<const sock_filter> instructions;
};

enum class SeccompListener {
  kNone,    // for the `plain` variant of a profile
  kWanted,  // for the `report` variant: without a listener its reported calls get ENOSYS
};

// Sets no_new_privs and installs the program for the calling thread; children inherit it.
// Returns 0 (kNone), the listener (kWanted; CLOEXEC is set by the kernel), or -errno.
int install_seccomp(const SeccompProgram& program, SeccompListener listener);

// What a guest tried. Values are as the kernel read them from registers; pointers in `arguments`
// belong to the guest and are never followed.
struct SeccompNotification {
  std::uint64_t id = 0;       // names this call in the answer
  std::uint32_t arch = 0;     // AUDIT_ARCH_*
  std::int32_t syscall = -1;  // __X32_SYSCALL_BIT included, where the guest set it
  std::array<std::uint64_t, 6> arguments{};
};

// Blocks until a call is reported (poll the listener for POLLIN first). Returns 0 or -errno:
// -ENOENT when the caller died or was interrupted meanwhile, -EINTR; neither is an end.
int receive_notification(int listener, SeccompNotification* notification);

// Makes the reported call fail with `error_number` (1..4095). Returns 0 or -errno; -ENOENT: the
// caller is gone.
int answer_notification(int listener, std::uint64_t id, int error_number);

// Lets it go on: for a call that the profile allows, and only tells of.
int continue_notification(int listener, std::uint64_t id);

// True for a call that did not come through the native table (int 0x80 or x32 numbers): the guest
// is killed for it.
bool is_foreign_call(const SeccompNotification& notification);

// Whether this kernel can report calls, to a listener whose messages we can hold. Asked without
// installing anything.
bool has_user_notification();

}  // namespace airlock::sys
