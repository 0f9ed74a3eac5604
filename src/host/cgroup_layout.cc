#include "host/cgroup_layout.h"

#include <algorithm>

namespace airlock::host {

namespace {

constexpr std::string_view kControllers[] = {"memory", "pids", "cpu"};

// "/user.slice/..." of the line "0::/user.slice/..." in /proc/self/cgroup.
std::string own_unified_group(HostProbe& probe) {
  const std::string text = probe.read("/proc/self/cgroup").value_or("");
  for (const std::string_view line : lines_of(text)) {
    if (line.starts_with("0::")) return std::string(line.substr(3));
  }
  return "/";
}

std::vector<std::string> known_controllers(const std::vector<std::string_view>& names) {
  std::vector<std::string> known;
  for (const std::string_view controller : kControllers) {
    if (has(names, controller)) known.emplace_back(controller);
  }
  return known;
}

void add_unified(HostProbe& probe, const Mount& mount, CgroupLayout* layout) {
  layout->unified_mount = mount.point;
  CgroupPlace place{.unified = true, .parent = mount.point, .controllers = {}};
  if (!probe.identity().is_root()) {
    const std::string own = own_unified_group(probe);
    if (own != "/") place.parent += own;
  }
  const std::string offered = probe.read(place.parent + "/cgroup.controllers").value_or("");
  place.controllers = known_controllers(fields_of(offered));
  layout->places.push_back(std::move(place));
}

}  // namespace

CgroupLayout find_cgroup_layout(HostProbe& probe) {
  CgroupLayout layout;
  bool v1_found = false;
  const std::string text = probe.read("/proc/self/mountinfo").value_or("");
  for (const Mount& mount : parse_mounts(text)) {
    if (mount.type == "cgroup2") add_unified(probe, mount, &layout);
    if (mount.type != "cgroup") continue;
    const auto controllers = known_controllers(split(mount.super_options, ','));
    if (controllers.empty()) continue;
    v1_found = true;
    layout.places.push_back({.unified = false, .parent = mount.point, .controllers = controllers});
  }
  using model::CgroupVersion;
  const bool v2_found = !layout.unified_mount.empty();
  if (v1_found) {
    layout.version = v2_found ? CgroupVersion::kHybrid : CgroupVersion::kV1;
  } else if (v2_found) {
    layout.version = CgroupVersion::kV2;
  }
  return layout;
}

bool can_enable_controllers(HostProbe& probe, const std::string& group) {
  if (!probe.may_write(group + "/cgroup.subtree_control")) return false;
  const bool is_tree_root = !probe.facts(group + "/cgroup.type").has_value();
  if (is_tree_root) return true;
  const std::string members = probe.read(group + "/cgroup.procs").value_or("");
  return std::ranges::all_of(lines_of(members), [&probe](std::string_view member) {
    return parse_number(member) == probe.identity().pid;
  });
}

}  // namespace airlock::host
