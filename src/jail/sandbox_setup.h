// The child of a sandbox between clone3 and the exec of airlock-init: mounts, pivot_root,
// capabilities.
//
// Everything it needs is prepared before the clone (SetupPlan, HostView); the child itself
// allocates nothing, takes no lock and logs nothing. A failure is sent as kInitReady{stage, errno}
// on the channel that init would have had. docs/architecture.md lists every operation in order.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "jail/root_skeleton.h"
#include "jail/stage.h"

namespace airlock::jail {

// Where init finds what it was given.
inline constexpr int kInitChannelFd = 3;
inline constexpr int kInitWorkspaceFd = 4;

// Where the whole workspace is mounted, in the root.
inline constexpr const char* kWorkspaceStaging = ".ws";

// The directories of a workspace's file system and where the guest sees them.
struct WorkspacePart {
  const char* name;
  const char* target;
  mode_t mode;
  bool guest_owned;
  bool read_only;
};
inline constexpr WorkspacePart kWorkspaceParts[] = {
    {"workspace", "workspace", 0755, true, false}, {"tmp", "tmp", 01777, false, false},
    {"output", "output", 0755, true, false},       {"shm", "dev/shm", 01777, false, false},
    {"input", "input", 0755, false, true},
};

struct SetupPlan {
  const HostView* host_view = nullptr;
  int channel_fd = -1;         // init's end
  int keeper_channel_fd = -1;  // to be closed
  int init_fd = -1;            // the sealed program
  uid_t init_uid = 0;          // inside
  gid_t init_gid = 0;
  bool can_set_groups = true;
  // The workspace: an existing mount, or a directory of the host, or a new tmpfs.
  int workspace_mount_fd = -1;
  std::string workspace_directory;
  std::string tmpfs_options;
  std::vector<base::UniqueFd> group_entrances;  // of the cgroup that the child is to enter
  bool bound_watches = false;        // the kernel counts them for our own user, not for the slot's
  bool hand_back_workspace = false;             // send a second handle as kWorkspaceMount
};

// Runs in the child; its end is exec or _exit.
[[noreturn]] void run_sandbox_child(const SetupPlan& plan);

}  // namespace airlock::jail
