// The parts of the floor program, each of which can be left out to see what it costs.
//
// floor.c runs the loop, the clone and the cgroups; floor_view.c builds the file system from
// inside. Nothing here is shared with airlock: it is what a C programmer would write for this one
// purpose, with no checks that an attacker could make necessary, no protocol, no second process, no
// seccomp.
#pragma once

enum FloorPart {
  kPartUser,       // user namespace, uid and gid map, the handshake that they need
  kPartPid,        // pid namespace
  kPartNet,        // network namespace
  kPartIpc,        // ipc namespace
  kPartUts,        // uts namespace and host name
  kPartCgroupns,   // cgroup namespace
  kPartLoopback,   // lo up
  kPartCgroups,    // groups, limits, attaching, removal
  kPartView,       // /usr and its symbolic links
  kPartEtc,        // files of /etc: bound from the host, or made
  kPartDev,        // device nodes
  kPartDevpts,     // a devpts of its own
  kPartProc,       // a proc of its own
  kPartMasks,      // hidden files of /proc
  kPartWorkspace,  // the writable file system and its binds
  kPartCount,
};

struct FloorParts {
  unsigned bits;
};

static inline int floor_has(struct FloorParts parts, enum FloorPart part) {
  return (int)((parts.bits >> part) & 1U);
}

// Where the child stopped and why; in memory that parent and child share.
struct FloorFailure {
  const char* step;
  int error;
};

// Builds the root file system in the calling process's own mount namespace and enters it. Returns
// 0, or -1 with `failure` filled in. Called as root of the user namespace.
int floor_enter_view(struct FloorParts parts, struct FloorFailure* failure);
