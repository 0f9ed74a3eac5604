// The launcher: the code that makes sandboxes with its caller's privilege.
//
// It is given one end of a SOCK_SEQPACKET pair and serves it until it closes and the last keeper is
// gone. airlock-jail is nothing but this; `airlock run`, which needs one sandbox, forks it from
// itself and saves the start of a program. Single-threaded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "jail/wire.h"

namespace airlock::jail {

// A sandbox whose init runs already, before its launcher does; init need not be the launcher's
// child. Its descriptors belong to the launcher; whoever cloned init reaps it.
struct BegunSandbox {
  int pid = -1;  // of init; -1: nothing was begun
  int pidfd = -1;
  int channel_fd = -1;  // to init
  int program_fd = -1;  // airlock-init
  std::uint32_t slot = 0;
  int slot_fd = -1;  // holds the lock; -1: there is none yet
};

struct LauncherOptions {
  std::string init_path;        // empty: airlock-init beside our own program
  std::string run_directory;    // empty: default_run_directory()
  std::string state_directory;  // empty: /var/lib/airlock, or in the home directory
  std::string cgroup_parent = "airlock";
  // One workspace, kept by the launcher itself, whose sandbox is begun before it is asked for.
  bool single = false;
  // One byte, the Tier: with `single` when init needs only the request, else when it is known.
  bool tells_when_settled = false;
  std::vector<std::string> folders;  // NAME=/PATH, see grants.h
  int devices_fd = -1;               // the table of devices; -1: there are none
  std::vector<std::string> points;   // folders that the root of sandboxes has besides, for mounts
  bool allow_process = false;        // tier `process`, on a host that gives nothing else
  OpenWorkspace expected;  // with `single`: what most probably comes; 0 bytes: nobody knows
  BegunSandbox begun;      // with `single`: that sandbox, if it was begun already
};

// What an operator has to say to allow tier `process`.
inline constexpr std::string_view kAllowedTier = "process";

// The exit status of the process; what is wrong with the host is said on stderr. Becomes
// airlock-nest where the host cannot give the full tier.
int run_launcher(LauncherOptions options, base::UniqueFd control);

struct LauncherHost;
// The same in another tier, on a host whose `lower` is set.
int run_lower_launcher(LauncherOptions options, LauncherHost host, base::UniqueFd control);

}  // namespace airlock::jail
