// The native backend: sandboxes made by a launcher that this process starts and owns.
//
// Everything is asked for over one socket; this process never calls clone, mount or setns. When the
// backend is destroyed the launcher ends; its keepers end with the channels of their workspaces.
// Several threads may open workspaces at once: each request is one packet on that socket.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "jail/launcher.h"

namespace airlock::backend::native {

// A launcher for one workspace, forked from this process instead of being a program of its own; it
// begins a sandbox at once. For a process that has done nothing yet.
// Plain numbers, so that a global is initialized without code; start_backend() owns them.
struct ForkedLauncher {
  int pid = -1;  // -1: there is none
  int control_fd = -1;
  int init_pid = -1;  // of a sandbox that was begun before: a child of ours, too
  int tier = -1;      // jail::Tier, as it said; -1: it said nothing
};
// None where $AIRLOCK_JAIL names a launcher, or where it cannot be had; start_backend() then tells.
// Takes over what was begun, in every case.
ForkedLauncher fork_launcher(jail::BegunSandbox begun, bool allow_process);

struct Options {
  ForkedLauncher forked = {};      // taken over if there is one; else a launcher is started
  std::string launcher_path = {};  // empty: $AIRLOCK_JAIL, else airlock-jail beside our own program
  std::vector<std::string> launcher_words = {};  // besides: those of airlock-broker
  std::string state_directory = {};              // empty: the launcher's default
  bool single = false;                           // only one workspace will be opened: starts faster
  bool allow_process = false;  // where the host gives nothing better than tier `process`
  // What sandboxes may be given (jail/grants.h); not with `forked`.
  std::vector<std::string> folders = {};  // NAME=/PATH
  std::string device_table = {};
};

// To a launcher that somebody else has started, with --tell, and waits for; `control` is its other
// end. Returns when it knows its tier. `device_table`: the one that it was given.
base::Result<std::unique_ptr<Backend>> connect_backend(base::UniqueFd control,
                                                       const std::string& device_table = {});

// Starts the launcher and returns at once; what the launcher finds wrong shows in the first run.
base::Result<std::unique_ptr<Backend>> start_backend(const Options& options);

}  // namespace airlock::backend::native
