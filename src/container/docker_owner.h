// DockerOwner: what of dockerd's is ours, by name and label, and how what is left of it goes.
//
// Containers and volumes bear the owner, which is of one state directory, and the slot they are of.
// What bears a slot that nobody holds is a leftover. dockerd also leaves cgroups behind. Values;
// whatever cannot be removed now is found by the next sweep.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.h"
#include "docker/engine.h"
#include "jail/launcher_host.h"

namespace airlock::container {

struct DockerOwner {
  std::string id;                        // random, kept in the state directory
  std::string group_parent;              // jail::LauncherOptions::cgroup_parent
  std::vector<std::string> group_paths;  // of our groups, in each hierarchy

  // Reads the id or, the first time, makes it.
  static base::Result<DockerOwner> open(const jail::LauncherHost& host, std::string group_parent);

  std::string container_name(std::uint32_t slot) const;
  std::string volume_name(std::uint32_t slot, const char* part) const;
  boost::json::object labels(std::uint32_t slot) const;

  // Of slots that nobody holds.
  void sweep(const docker::Engine& engine, const jail::SlotPool& slots) const;
  // dockerd makes the parent of a container in every hierarchy of v1, and leaves it there; the
  // keeper removes it in those that it uses.
  void remove_foreign_groups(std::uint32_t slot) const;
};

}  // namespace airlock::container
