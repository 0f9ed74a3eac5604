// Starting airlock-init without clone3, pidfds and ambient capabilities.
//
// A sentry, or the filter of a container, need not have any of them. Init makes its namespaces by
// itself, if it is to have any (apps/init/lower.h). For processes with one thread.
#pragma once

#include <sys/types.h>

#include "sys/raw_clone.h"

namespace airlock::nest {

struct LowerInit {
  int program_fd = -1;
  int channel_fd = -1;         // its end
  const char* mode = nullptr;  // its first argument: "nested" or "process"
  // Whom it becomes before it executes; 0: it stays who we are.
  uid_t uid = 0;
};

// `pidfd` is the end of a pipe that closes with init; see jail::LowerTier.
sys::RawChild start_lower_init(const LowerInit& request);

}  // namespace airlock::nest
