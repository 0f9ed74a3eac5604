// The native backend: sandboxes made by a launcher (airlock-jail) that this process starts and
// owns.
//
// Everything is asked for over one socket; this process never calls clone, mount or setns. When the
// backend is destroyed the launcher ends; its keepers end with the channels of their workspaces.
#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"

namespace airlock::backend::native {

struct Options {
  std::string launcher_path;    // empty: $AIRLOCK_JAIL, else airlock-jail beside our own program
  std::string state_directory;  // empty: the launcher's default
  bool single = false;          // only one workspace will be opened: starts faster
};

// Starts the launcher and returns at once; what the launcher finds wrong shows in the first run.
base::Result<std::unique_ptr<Backend>> start_backend(const Options& options);

}  // namespace airlock::backend::native
