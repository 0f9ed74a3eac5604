// LauncherHost: what a launcher found out about its host and was told by its owner.
//
// Nothing in it comes from a caller: source roots, uid pool, cgroup parent and device list are the
// launcher's own. Opened in two steps, so that a sandbox can be begun between them. Shared by all
// keepers, which only read it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "jail/grants.h"
#include "jail/id_map.h"
#include "jail/launcher.h"
#include "jail/lower_tier.h"
#include "jail/root_skeleton.h"
#include "jail/slot_pool.h"
#include "sys/cgroup.h"

namespace airlock::jail {

// The path of a program in the folder of our own.
std::string beside_ourselves(const char* name);

// /var/lib/airlock, or in the home directory of an ordinary user.
std::string default_state_directory();

struct LauncherHost {
  // What init needs until it has made its mounts. The view may be that of the launcher before us,
  // unchecked.
  static base::Result<LauncherHost> open(const LauncherOptions& options);
  // The rest but for the check of the view.
  void complete(const LauncherOptions& options);

  bool privileged() const { return ids.own_uid == 0; }

  IdHost ids;
  SlotPool slots;
  std::string state_directory;
  Grants grants;
  HostView view;
  sys::CgroupHost cgroups;
  base::UniqueFd init;  // airlock-init, which nobody can change while it runs
  bool seccomp_listener = false;
  bool own_creators = true;          // of root's user namespaces: InitStart::creator
  const LowerTier* lower = nullptr;  // of a host that cannot give the full tier
};

inline constexpr std::uint32_t kNoSlot = ~0u;
struct Kept {
  std::uint32_t slot = kNoSlot;  // our own
  std::string group;             // that we use of it
  std::string workspace;
};
// Removes what dead owners left, but for `kept`. True if something may be left yet, because its
// owner lives or is just about to die.
bool sweep(const LauncherHost& host, const Kept& kept = {});

}  // namespace airlock::jail
