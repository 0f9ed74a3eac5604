// airlock-init: pid 1 of a sandbox. Makes its network and mounts, starts programs, reaps them,
// writes inputs, reads outputs back.
//
// Runs under another uid than the guest, not dumpable, with no descriptor but its channel to the
// keeper and the root of the workspace. Allocates nothing, links no C library (runtime.cc), and
// ends when the channel closes, which ends the whole pid namespace.
#pragma once

#include <cstdint>

#include "base/unique_fd.h"
#include "jail/channel.h"
#include "jail/sandbox_layout.h"
#include "jail/stage.h"
#include "jail/wire.h"
#include "jail/wire_grants.h"

namespace airlock::init {

inline constexpr int kChannelFd = jail::kInitChannelFd;
inline constexpr int kWorkspaceFd = jail::kInitWorkspaceFd;
inline constexpr std::uint32_t kGuestId = 1000;

// Makes the sandbox around us in two steps, between which processes may be started that wait: first
// network, identity and the mounts that all sandboxes have, until we are in our cgroup; then the
// workspace, the change of root and the loss of what we no longer need. What fails is told to the
// keeper, and ends us.
struct SetupState {
  char view_bytes[8 * 1024];  // as much as send_message() sends
  char workspace_bytes[4'096];
  jail::ViewSetup view;
  jail::WorkspaceSetup workspace;
  base::UniqueFd workspace_fd;  // of a file system that exists already
};
// The kernel lets only whoever maps more than their own id change their groups.
inline bool can_set_groups(const jail::ViewSetup& view) { return view.init_id != kGuestId; }
// Gives numbers that are handed out later to nobody else until then. To be called first.
void reserve_descriptors();
// Where we have no network namespace of the sandbox yet, it is made first.
void begin_setup(SetupState* state);
void finish_setup(SetupState* state);

// What the keeper said at the start, kept for every process.
struct Settings {
  bool seccomp_listener = false;
  bool cgroup_namespace = false;
  bool can_set_groups = false;
  int landlock_ruleset = -1;  // that each process enters; -1 where the kernel has none
  int landlock_abi = 0;
  const char* seccomp = nullptr;
  std::size_t seccomp_bytes = 0;
};

// A process made ahead for the first exec: it becomes the guest while the sandbox is made, and then
// waits to be told its program, limits and streams.
struct Standby {
  int pid = -1;
  int channel = -1;
};
Standby start_standby(const Settings& settings);
// Ends it, if it was not used.
void drop_standby(Standby* standby);
// Gives it the ruleset and the request and returns its pid; -1 if it cannot be used. It is used up
// either way.
int use_standby(Standby* standby, const Settings& settings, const jail::Packet& packet);

// Gives back the pages of the 64 KiB below the caller's frame, where nothing that lives may be:
// making a sandbox goes deeper than what follows, and pages are what one that waits costs.
void drop_unused_stack();

// What the kernel does by default, whatever our caller made of it.
void reset_signal(int number);

// Starts a process and returns its pid, or -1 after telling `handshake` why not.
int start_process(const Settings& settings, const jail::Exec& request, jail::Packet* packet);

// Opens the listener of the gateway and sends it up, or why there is none.
void open_listener(const jail::Listen& request);

// Below `directory`, through no link. Invalid with errno if it cannot be.
base::UniqueFd open_inside(int directory, const char* path, std::uint64_t flags,
                           std::uint64_t mode_bits = 0);

// Writes one input file below the workspace. Returns 0 or an errno.
int put_file(const jail::PutFile& request, int content_fd);

// Sends every file that matches, and at last kCollectDone.
void collect(const jail::Collect& request);

// Sends everything below a part of the workspace, and at last kTreeDone (tree.cc).
void read_tree(const jail::ReadTree& request);

}  // namespace airlock::init
