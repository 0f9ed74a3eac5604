#include "container/docker_owner.h"

#include <fcntl.h>
#include <unistd.h>
#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <optional>
#include <utility>

#include "base/ids.h"
#include "container/container_tier.h"
#include "container/docker_image.h"
#include "sys/files.h"

namespace airlock::container {
namespace {

namespace json = boost::json;
using base::UniqueFd;
using docker::Engine;

constexpr const char* kOwnerLabel = "airlock.owner";
constexpr const char* kSlotLabel = "airlock.slot";
constexpr std::size_t kIdBytes = 8;
constexpr const char* kHierarchies = "/sys/fs/cgroup";

// Whoever comes second has what the first one wrote.
base::Status make_id(const std::string& path) {
  base::SystemRandom random;
  const std::string id = base::make_hex(kIdBytes, random);
  const std::string passing = path + "." + id;
  AIRLOCK_ASSIGN(const UniqueFd file, sys::open_at(AT_FDCWD, passing.c_str(),
                                                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  if (write(file.get(), id.data(), id.size()) == static_cast<ssize_t>(id.size())) {
    (void)link(passing.c_str(), path.c_str());
  }
  unlink(passing.c_str());
  return {};
}

base::Result<std::string> read_id(const std::string& path) {
  AIRLOCK_ASSIGN(std::string id, sys::read_file_at(AT_FDCWD, path.c_str()));
  const bool is_id = id.size() == 2 * kIdBytes && std::ranges::all_of(id, [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                     });
  if (is_id) return id;
  return base::fail(base::ErrorCode::kUnavailable, path + " holds no id", "remove it");
}

std::optional<std::uint32_t> slot_of(const json::value& entry) {
  const json::value* const labels = member(entry, "Labels");
  return labels != nullptr ? slot_of_name("s" + text_of(*labels, kSlotLabel)) : std::nullopt;
}

void remove_empty(int folder, const std::string& name) {
  sys::Directory below(folder, name.c_str());
  std::vector<std::string> found;
  while (const char* entry = below.valid() ? below.next() : nullptr) {
    if (below.may_be_directory()) found.emplace_back(entry);
  }
  for (const std::string& entry : found) unlinkat(below.fd(), entry.c_str(), AT_REMOVEDIR);
  unlinkat(folder, name.c_str(), AT_REMOVEDIR);
}

// In the hierarchies that are not ours, of the slots for which `may_remove` says so.
void remove_groups(const DockerOwner& owner,
                   const std::function<bool(std::uint32_t slot)>& may_remove) {
  sys::Directory hierarchies(AT_FDCWD, kHierarchies);
  while (const char* name = hierarchies.valid() ? hierarchies.next() : nullptr) {
    const std::string path = std::string(kHierarchies) + "/" + name + "/" + owner.group_parent;
    if (std::ranges::find(owner.group_paths, path) != owner.group_paths.end()) continue;
    sys::Directory groups(AT_FDCWD, path.c_str());
    std::vector<std::string> found;
    while (const char* group = groups.valid() ? groups.next() : nullptr) {
      const auto slot = slot_of_name(group);
      if (slot.has_value() && may_remove(*slot)) found.emplace_back(group);
    }
    for (const std::string& group : found) remove_empty(groups.fd(), group);
  }
}

}  // namespace

base::Result<DockerOwner> DockerOwner::open(const jail::LauncherHost& host,
                                            std::string group_parent) {
  DockerOwner owner{.id = {}, .group_parent = std::move(group_parent), .group_paths = {}};
  const std::string path = host.state_directory + "/owner";
  if (access(path.c_str(), F_OK) != 0) AIRLOCK_TRY(make_id(path));
  AIRLOCK_ASSIGN(owner.id, read_id(path));
  for (const sys::CgroupHierarchy& hierarchy : host.cgroups.hierarchies) {
    owner.group_paths.push_back(hierarchy.path);
  }
  return owner;
}

std::string DockerOwner::container_name(std::uint32_t slot) const {
  return "airlock-" + id + "-s" + std::to_string(slot);
}
std::string DockerOwner::volume_name(std::uint32_t slot, const char* part) const {
  return container_name(slot) + "-" + part;
}
json::object DockerOwner::labels(std::uint32_t slot) const {
  return {{kOwnerLabel, id}, {kSlotLabel, std::to_string(slot)}};
}

void DockerOwner::sweep(const Engine& engine, const jail::SlotPool& slots) const {
  const std::string label = filter("label", std::string(kOwnerLabel) + "=" + id);
  const auto remove_left = [&](std::span<const json::value> entries, const char* member_name,
                               const std::string& before, const std::string& after) {
    for (const json::value& entry : entries) {
      const auto slot = slot_of(entry);
      if (!slot.has_value()) continue;
      const jail::Slot held = slots.try_take(*slot);
      if (held.valid()) (void)engine.remove(before + text_of(entry, member_name) + after);
    }
  };
  const auto containers = engine.get("/containers/json?all=1&" + label);
  remove_left(list_in(containers), "Id", "/containers/", "?force=1&v=1");
  const auto volumes = engine.get("/volumes?" + label);
  remove_left(list_in(volumes, "Volumes"), "Name", "/volumes/", "?force=1");
  remove_groups(*this, [&](std::uint32_t slot) {
    const jail::Slot held = slots.try_take(slot);
    return held.valid();
  });
  sweep_images(engine);
}

void DockerOwner::remove_foreign_groups(std::uint32_t slot) const {
  remove_groups(*this, [&](std::uint32_t each) { return each == slot; });
}

}  // namespace airlock::container
