// Compiles a profile to a classic BPF program for seccomp.
//
// Shape: check the architecture, then a balanced search over ranges of numbers that share an
// answer, then the cases of the one call that is left; all share the instructions that return.
// Installing it is paid for at the start of each sandbox and costs a fifth of a microsecond for
// each instruction (the kernel translates them), so the program is short. Afterwards calls that are
// always allowed cost next to nothing: the kernel (5.11 on) tries every number once and remembers.
// libseccomp is not used for this: it has no "otherwise" for a call with argument rules.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "profile.h"

namespace airlock::policygen {

enum class Variant {
  kReport,  // reported, told and foreign calls become SECCOMP_RET_USER_NOTIF
  kPlain,   // reported calls become EPERM, told ones are allowed, foreign ones kill the process
};

// The value that the program returns for an action.
std::uint32_t return_value(const Action& action, Variant variant);

std::vector<sock_filter> compile_profile(const Profile& profile, const Architecture& architecture,
                                         Variant variant);

}  // namespace airlock::policygen
