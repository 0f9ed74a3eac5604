// Becoming airlock-nest, the launcher for hosts that cannot give the full tier.
//
// Decided by trying: a sandbox was asked for and the kernel refused one of its steps for good. What
// may pass (memory, a limit that others have used up) is no reason.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "jail/launcher.h"
#include "jail/stage.h"

namespace airlock::jail {

// Whether this failure says that the host, or the container we are in, does not allow the step.
bool is_refused_by_host(const StageFailure& failure);

// Executes airlock-nest with the same options and control socket. Returns only if there is none.
void hand_down(const LauncherOptions& options, const base::UniqueFd& control);

// What hand_down() and `airlock` say to a launcher, and its own defaults.
base::Result<LauncherOptions> parse_launcher_arguments(int argc, char** argv, int* control_fd);

}  // namespace airlock::jail
