// Landlock, the second wall behind the mount namespace: only the trees named here can be opened.
//
// restrict_with_landlock() handles every file access right of the ABI that the kernel has (1..7),
// so that whatever is not granted is refused, and may confine signals and abstract sockets to the
// sandbox (ABI 6). Network rights are not handled: the network namespace holds loopback only.
// Raw system calls, no allocation: made for the time between clone and exec. Files that are open
// already, pipes, sockets and memfds are not affected. A kernel without Landlock gives ABI 0.
#pragma once

#include <cstdint>
#include <span>

namespace airlock::sys {

enum class LandlockRights {
  kRead,              // read files, list folders
  kReadExecute,       // and execute
  kReadWrite,         // read, write, truncate, create, remove, rename across folders
  kReadWriteExecute,  // all of these
  kDevices,           // read, write and ioctl device nodes, list folders; create nothing
};

// One tree (or a single file: rights that only folders have are left out).
struct LandlockTree {
  const char* path = nullptr;  // used when fd is -1
  int fd = -1;                 // any descriptor of the tree's top, O_PATH included; not consumed
  LandlockRights rights = LandlockRights::kRead;
  bool optional = false;  // a path that does not exist is passed over
};

enum class LandlockScope {
  kOpen,
  // Signals and abstract sockets do not reach out of the domain (the process and its descendants);
  // from outside they still come in. Nothing before ABI 6.
  kConfined,
};

struct LandlockOutcome {
  int error = 0;        // 0 or errno
  int tree_index = -1;  // the tree at fault, -1: none of them
};

// The ABI of the running kernel; 0 when Landlock is missing or switched off.
int landlock_abi();

// The file access rights that `abi` knows, and those of them that `rights` grants.
std::uint64_t landlock_handled_rights(int abi);
std::uint64_t landlock_granted_rights(LandlockRights rights, int abi);

// A ruleset that any number of processes can enter; the caller closes it. `abi` is what
// landlock_abi() gave (asked once); must be at least 1. -1 with the outcome filled in on failure.
int make_landlock_ruleset(int abi, std::span<const LandlockTree> trees, LandlockScope scope,
                          LandlockOutcome* outcome);

// Sets no_new_privs and confines the calling thread and all its children for good. 0 or an errno.
int enter_landlock(int ruleset);

}  // namespace airlock::sys
