// A sandbox that is begun by the first instructions of `airlock run`, before the C library and the
// constructors of other libraries have made themselves ready: the kernel needs about as long for a
// network namespace as they do.
//
// On doubt nothing is begun, and the launcher begins it later: where $AIRLOCK_JAIL names another
// launcher, where descriptors 0 to 2 are not all open, where cgroup v2 is the only one (a process
// has to be born in its group there), or where no slot was ever made.
#pragma once

#include "jail/launcher.h"

namespace airlock::apps {

// `stack` as the kernel leaves it for a new program: argc, argv, environment. Makes system calls
// only, and may run before relocations.
jail::BegunSandbox prestart(const long* stack);

}  // namespace airlock::apps
