// Starting airlock-init in the namespaces of a new sandbox: all of them but the network's, which
// takes longest and which init makes itself if it was not born in one. For the launcher, and for
// the first instructions of `airlock run` (apps/airlock/prestart.h), which run before the C library
// is ready: allocates nothing and touches no errno. While it lasts our effective uid is the
// creator's, which makes us not dumpable.
#pragma once

#include <sys/types.h>

#include "sys/raw_clone.h"

namespace airlock::jail {

// As of sys::RawClone.
struct InitStart {
  int program_fd = -1;              // airlock-init
  int channel_fd = -1;              // its end
  const char* directory = nullptr;  // to start in; nullptr: ours
  bool has_network = false;         // we are in the namespace of the sandbox already
  int cgroup_fd = -1;               // a v2 group to be born in
  // Whom the kernel counts things of the new user namespace for (inotify instances, pending
  // signals, ...) besides its own users; 0: ourselves.
  uid_t creator = 0;
};

// As sys::clone_and_execute.
sys::RawChild start_init(const InitStart& start);

}  // namespace airlock::jail
