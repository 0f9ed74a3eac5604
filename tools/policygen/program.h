// Compiles a profile to a classic BPF program for seccomp.
//
// Shape: check the architecture, then a balanced search over ranges of numbers that share an answer,
// then the cases of the one call that is left. Jumps only go forward and every leaf returns, so a
// subtree is a block that can be put anywhere. The search is short because the kernel (5.11 on)
// runs the program once for every number when it is installed, to find what it may allow without
// asking again: that cost is paid at the start of each sandbox; afterwards hot calls cost nothing.
// libseccomp is not used for this: it has no "otherwise" for a call with argument rules.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "profile.h"

namespace airlock::policygen {

enum class Variant {
  kReport,  // reported and foreign calls become SECCOMP_RET_USER_NOTIF
  kPlain,   // reported calls become EPERM, foreign ones kill the process
};

// The value that the program returns for an action.
std::uint32_t return_value(const Action& action, Variant variant);

std::vector<sock_filter> compile_profile(const Profile& profile, const Architecture& architecture,
                                         Variant variant);

}  // namespace airlock::policygen
