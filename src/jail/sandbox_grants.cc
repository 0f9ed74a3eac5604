#include "jail/sandbox_grants.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <algorithm>
#include <cerrno>

#include "jail/channel.h"
#include "jail/layer_store.h"
#include "jail/sandbox_layout.h"
#include "jail/test_hooks.h"
#include "jail/wire_grants.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

constexpr std::uint64_t kReadOnly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

// A copy of the mounts below `fd` that belongs to nobody yet. Invalid with errno.
UniqueFd clone_mounts(int fd, std::uint64_t attributes) {
  constexpr unsigned kCopy = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  UniqueFd mount(open_tree(fd, "", kCopy | AT_EMPTY_PATH | AT_RECURSIVE));
  if (!mount.valid()) return mount;
  mount_attr wanted{};
  wanted.attr_set = attributes;
  wanted.propagation = MS_PRIVATE;  // what the host mounts below it later stays the host's
  if (mount_setattr(mount.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &wanted, sizeof wanted) != 0) {
    mount.reset();
  }
  return mount;
}

class Opening {
 public:
  Opening(const LauncherHost& host, GivenMounts* given) : host_(host), given_(given) {}

  const StageFailure& failure() const { return failure_; }

  void add_layer(std::string_view name) {
    auto held = hold_layer(host_.state_directory, name);
    if (!held.has_value()) return fail(Stage::kLayer, held.error().os_errno);
    std::uint64_t attributes = kReadOnly;
    if (switched_off("layer_read_only")) attributes &= ~std::uint64_t{MOUNT_ATTR_RDONLY};
    add(Stage::kLayer, held->tree, held->path, std::string("/") + kBuildPart, attributes);
    given_->layer_lock = std::move(held->lock);
  }

  void add_folder(std::string_view name) {
    const FolderGrant* const folder = find_folder(host_.grants, name);
    if (folder == nullptr) return fail(Stage::kFolder, ENOENT);
    const UniqueFd fd(open(folder->path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return fail(Stage::kFolder, errno);
    add(Stage::kFolder, fd, folder->path, "/" + folder->name, kReadOnly | MOUNT_ATTR_NOEXEC);
  }

  void add_device(std::string_view name) {
    const DeviceGrant* const device = find_device(host_.grants, name);
    if (device == nullptr) return fail(Stage::kDevice, ENOENT);
    if (host_.lower != nullptr) {
      given_->devices.emplace_back(name);
      return;
    }
    for (const DeviceNode& node : device->nodes) add_node(node);
    for (const DeviceMount& mount : device->mounts) {
      const UniqueFd fd(open(mount.source.c_str(), O_PATH | O_CLOEXEC));
      if (!fd.valid()) return fail(Stage::kDevice, errno);
      const std::uint64_t exec = mount.executable ? 0 : MOUNT_ATTR_NOEXEC;
      add(Stage::kDevice, fd, mount.source, mount.target, kReadOnly | exec);
    }
  }

 private:
  // The node that is bound is the one that was looked at.
  void add_node(const DeviceNode& node) {
    const UniqueFd fd(open(node.source.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status{};
    if (!fd.valid() || fstat(fd.get(), &status) != 0) return fail(Stage::kDevice, errno);
    const bool same = S_ISCHR(status.st_mode) && major(status.st_rdev) == node.major &&
                      minor(status.st_rdev) == node.minor;
    if (!same && !switched_off("device_numbers")) return fail(Stage::kDevice, ENXIO);
    add(Stage::kDevice, fd, node.source, node.target, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  }

  void add(Stage stage, const UniqueFd& fd, const std::string& source, const std::string& target,
           std::uint64_t attributes) {
    if (failure_.stage != Stage::kNone) return;
    const std::string relative = target.substr(1);
    const auto same = std::ranges::find(given_->mounts, relative, &GivenMount::target);
    if (same != given_->mounts.end()) {
      // Devices of one vendor share most of their nodes and files.
      return same->source == source ? void() : fail(stage, EEXIST);
    }
    if (given_->mounts.size() == kBindsMax) return fail(stage, E2BIG);
    UniqueFd mount;
    if (host_.privileged()) {
      mount = clone_mounts(fd.get(), attributes);
      // Root of a container without that right: init has it, in its own namespace.
      if (!mount.valid() && errno != EPERM) return fail(stage, errno);
    }
    given_->mounts.push_back({stage, std::move(mount), source, relative, attributes});
  }

  void fail(Stage stage, int error) {
    if (failure_.stage == Stage::kNone) failure_ = {stage, error != 0 ? error : EIO};
  }

  const LauncherHost& host_;
  GivenMounts* given_;
  StageFailure failure_;
};

}  // namespace

StageFailure open_given_mounts(const LauncherHost& host, const CreateSandbox& request,
                               GivenMounts* given) {
  // There it would take mounts.
  const bool takes_mounts = host.lower == nullptr || host.lower->takes_mounts();
  if (!request.layer.empty() && !takes_mounts) return {Stage::kLayer, ENOTSUP};
  if (request.folders.count() > 0 && !takes_mounts) return {Stage::kFolder, ENOTSUP};
  const bool gives_devices = host.lower == nullptr || host.lower->gives_devices();
  if (request.devices.count() > 0 && !gives_devices) return {Stage::kDevice, ENOTSUP};
  if (request.workspace_read_only && host.lower != nullptr && !host.lower->is_container()) {
    return {Stage::kDevice, ENOTSUP};
  }
  const bool has_images = host.lower != nullptr && host.lower->has_images();
  if (!request.image.empty() && !has_images) return {Stage::kImage, ENOTSUP};
  given->image = request.image;
  given->workspace_read_only = request.workspace_read_only;
  Opening opening(host, given);
  if (!request.layer.empty()) opening.add_layer(request.layer);
  request.folders.for_each([&](std::string_view name) { opening.add_folder(name); });
  request.devices.for_each([&](std::string_view name) { opening.add_device(name); });
  return opening.failure();
}

int send_given_mounts(int channel_fd, GivenMounts* given) {
  for (const GivenMount& one : given->mounts) {
    Bind bind;
    bind.stage = static_cast<std::uint16_t>(one.stage);
    bind.target = one.target;
    bind.attributes = one.attributes;
    const int fds[] = {one.mount.get()};
    const bool made = one.mount.valid();
    if (!made) bind.source = one.source;
    const int error = send_message(channel_fd, bind, std::span<const int>(fds, made ? 1 : 0));
    if (error != 0) return error;
  }
  given->mounts.clear();
  return 0;
}

}  // namespace airlock::jail
