// airlock-init: pid 1 of a sandbox. Starts programs, reaps them, writes inputs, reads outputs back.
//
// Runs under another uid than the guest, not dumpable, with no descriptor but its channel to the
// keeper and the root of the workspace. Allocates nothing, links no C library (runtime.cc), and
// ends when the channel closes, which ends the whole pid namespace.
#pragma once

#include <cstdint>

#include "jail/channel.h"
#include "jail/stage.h"
#include "jail/wire.h"

namespace airlock::init {

inline constexpr int kChannelFd = 3;
inline constexpr int kWorkspaceFd = 4;
inline constexpr std::uint32_t kGuestId = 1000;

// What the keeper said at the start, kept for every process.
struct Settings {
  bool seccomp_listener = false;
  bool cgroup_namespace = false;
  bool can_set_groups = false;
  const char* seccomp = nullptr;
  std::size_t seccomp_bytes = 0;
};

// Starts a process and returns its pid, or -1 after telling `handshake` why not.
int start_process(const Settings& settings, const jail::Exec& request, jail::Packet* packet);

// Writes one input file below the workspace. Returns 0 or an errno.
int put_file(const jail::PutFile& request, int content_fd);

// Sends every file that matches, and at last kCollectDone.
void collect(const jail::Collect& request);

}  // namespace airlock::init
