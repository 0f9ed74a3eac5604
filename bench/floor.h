// The parts of the floor program, each of which can be left out to see what it costs.
//
// floor.c runs the loop, the clone and the cgroups; floor_view.c builds the file system from
// inside. Nothing here is shared with airlock: it is what a C programmer would write for this one
// purpose, with no checks that an attacker could make necessary, no protocol, no second process, no
// seccomp.
#pragma once

#include <stddef.h>

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

// Reads which paths of the host are shown: lines "etc PATH", "device PATH", "mask PATH", as
// bench/run.py makes them from policies/host-view.yaml, so that floor and airlock mount the same.
// Without it the view is what nearly every program needs. Returns 0 or -1.
int floor_read_view(const char* path);

// Builds the root file system in the calling process's own mount namespace and enters it. Returns
// 0, or -1 with `failure` filled in. Called as root of the user namespace.
int floor_enter_view(struct FloorParts parts, struct FloorFailure* failure);

// The groups of one sandbox. parent_name: an existing group below which they are made, or "".
void floor_find_groups(const char* parent_name);
void floor_name_groups(int worker);
int floor_make_groups(void);
// v1, in the child: "0" written to `tasks` moves the calling thread without the lock that a pid
// written to cgroup.procs waits for, which on an idle machine is milliseconds (a grace period of
// RCU).
int floor_join_groups(void);
int floor_remove_groups(void);
// v2: the group's directory, for CLONE_INTO_CGROUP; else -1.
int floor_unified_group(void);

// Writes a whole file that exists. Returns 0 or -1.
int floor_write(const char* path, const char* text, size_t size);
