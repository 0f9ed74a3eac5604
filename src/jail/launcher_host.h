// LauncherHost: what a launcher found out about its host and was told by its owner, once at start.
//
// Shared read-only by all keepers. Nothing in it comes from a caller: source roots, uid pool,
// cgroup parent and device list are the launcher's own.
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.h"
#include "jail/id_map.h"
#include "jail/root_skeleton.h"
#include "jail/slot_pool.h"
#include "sys/cgroup.h"

namespace airlock::jail {

struct LauncherHost {
  IdHost ids;
  SlotPool slots;
  sys::CgroupHost cgroups;
  HostView view;
  base::UniqueFd init;  // airlock-init, sealed
  std::string state_directory;
  bool seccomp_listener = false;
  bool privileged = false;
};

}  // namespace airlock::jail
