// What launcher and init both know of a sandbox.
//
// The descriptors that init is born with, the capabilities that it has, and where the parts of a
// workspace are. Constants only.
#pragma once

#include <linux/capability.h>
#include <sys/types.h>

#include <cstdint>

namespace airlock::jail {

inline constexpr int kInitChannelFd = 3;
inline constexpr int kInitWorkspaceFd = 4;
inline constexpr int kInitEndFd = 5;  // not in the full tier: closes when init is gone

// Init's argument if it was born in the network namespace of its sandbox.
inline constexpr const char* kHasNetwork = "has-network";

// What init keeps, inside its own user namespace only: to become the guest, to signal and reap it,
// to read outputs whatever their mode, to give each process a cgroup namespace.
constexpr std::uint64_t capability_bit(int capability) { return 1ull << capability; }
inline constexpr std::uint64_t kInitCapabilities =
    capability_bit(CAP_SETUID) | capability_bit(CAP_SETGID) | capability_bit(CAP_KILL) |
    capability_bit(CAP_DAC_READ_SEARCH) | capability_bit(CAP_DAC_OVERRIDE) |
    capability_bit(CAP_CHOWN) | capability_bit(CAP_SYS_ADMIN);
// And until the sandbox is made: to raise the loopback interface, to bound inotify instances, to
// empty the bounding set.
inline constexpr std::uint64_t kSetupCapabilities =
    kInitCapabilities | capability_bit(CAP_NET_ADMIN) | capability_bit(CAP_SYS_RESOURCE) |
    capability_bit(CAP_SETPCAP);

// Inside a skeleton's directory: the root itself, and the second layer that overlayfs asks for.
inline constexpr const char* kSkeletonRoot = "root";
inline constexpr const char* kSkeletonEmpty = "empty";

// The part that can be kept as a layer, and in whose place a layer is seen.
inline constexpr const char* kBuildPart = "build";

// The part that a program starts in.
inline constexpr const char* kWorkspacePart = "workspace";

// More than a host with eight GPUs has nodes and driver files.
inline constexpr std::uint32_t kBindsMax = 256;

// Where the whole workspace is mounted, in the root.
inline constexpr const char* kWorkspaceStaging = ".ws";

// The directories of a workspace's file system and where the guest sees them.
struct WorkspacePart {
  const char* source;  // below kWorkspaceStaging
  const char* target;
  mode_t mode;
  bool guest_owned;
  bool read_only;
};
inline constexpr WorkspacePart kWorkspaceParts[] = {
    {".ws/workspace", "workspace", 0755, true, false}, {".ws/tmp", "tmp", 01777, false, false},
    {".ws/output", "output", 0755, true, false},       {".ws/shm", "dev/shm", 01777, false, false},
    {".ws/input", "input", 0755, false, true},         {".ws/build", "build", 0755, true, false},
};

}  // namespace airlock::jail
