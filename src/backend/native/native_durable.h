// What is said to the launcher about durable workspaces, and what its keepers answer.
//
// Requests go over the launcher's socket, one packet each, so that several threads may send them at
// once; answers come on a channel of their own. Every call blocks until the answer is there, for a
// bounded time: a launcher or keeper that hangs is an error (kUnavailable).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "jail/wire.h"

namespace airlock::backend::native {

// A durable workspace as its keeper describes it to a new caller.
struct AdoptedChannels {
  struct Process {
    std::string tag;
    std::string seccomp_profile;
    base::UniqueFd channel;
  };
  base::UniqueFd channel;
  bool has_sandbox = false;
  std::string seccomp_profile;
  std::vector<Process> processes;
};

// `request` has a name.
base::Result<AdoptedChannels> open_durable(int control, const jail::OpenWorkspace& request);
base::Result<AdoptedChannels> adopt_durable(int control, const std::string& name);
base::Result<std::vector<std::string>> list_durable(int control);
base::Status discard_durable(int control, const std::string& name);

// Until the keeper has closed the channel, which it does when all is gone; false: it takes longer.
bool wait_for_end(int channel);

}  // namespace airlock::backend::native
