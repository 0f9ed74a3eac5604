// CgroupLayout: where on this host the launcher would make its groups, found by reading only.
//
// Follows the launcher's own rule (sys/cgroup.h): root uses every v1 hierarchy with a controller we
// need and the top of v2; an ordinary user only the v2 group that it runs in, if that was
// delegated.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/host_probe.h"
#include "host/proc_files.h"
#include "model/isolation.h"

namespace airlock::host {

struct CgroupPlace {
  bool unified = false;                  // cgroup v2
  std::string parent;                    // groups of ours are made in here
  std::vector<std::string> controllers;  // of memory, pids, cpu: what it offers
};

struct CgroupLayout {
  model::CgroupVersion version = model::CgroupVersion::kNone;  // what the host has
  std::string unified_mount;                                   // empty if there is no v2
  std::vector<CgroupPlace> places;                             // what we could use of it
};

CgroupLayout find_cgroup_layout(HostProbe& probe);

// Whether a v2 group could hand its controllers down: it may be configured by us and, unless it is
// the real root of the tree, holds no process but this one (which the launcher moves to a leaf).
bool can_enable_controllers(HostProbe& probe, const std::string& group);

}  // namespace airlock::host
