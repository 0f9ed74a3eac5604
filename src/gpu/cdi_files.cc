// CDI specs as files of the host: which of them are read, and which device of several wins.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "base/unique_fd.h"
#include "gpu/cdi.h"

namespace airlock::gpu {
namespace {

using base::UniqueFd;

// What somebody else could have written could name any file of the host.
bool is_ours(const struct stat& status) {
  return (status.st_uid == 0 || status.st_uid == ::geteuid()) &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

base::Result<std::string> read_spec(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.valid()) return base::fail_errno("read " + path);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return base::fail_errno("read " + path);
  if (!S_ISREG(status.st_mode) || !is_ours(status)) {
    return base::fail(base::ErrorCode::kPermissionDenied,
                      path + " is no file that only root can change",
                      "chown root and chmod 644 it");
  }
  std::string text(kCdiSpecBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(file.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("read " + path);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  return text;
}

std::vector<std::string> list_specs(const std::string& directory, CdiInventory* inventory) {
  std::vector<std::string> paths;
  struct stat status{};
  if (::stat(directory.c_str(), &status) != 0) {
    if (errno != ENOENT) {
      inventory->warnings.push_back(base::errno_error("look into " + directory).to_string());
    }
    return paths;
  }
  if (!S_ISDIR(status.st_mode) || !is_ours(status)) {
    inventory->warnings.push_back(directory + " is no folder that only root can change: not used");
    return paths;
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".json" || extension == ".yaml") paths.push_back(entry.path().string());
  }
  if (error) inventory->warnings.push_back("list " + directory + ": " + error.message());
  std::ranges::sort(paths);
  if (paths.size() > kCdiSpecsMax) {
    inventory->warnings.push_back(directory + ": only the first " + std::to_string(kCdiSpecsMax) +
                                  " specs are used");
    paths.resize(kCdiSpecsMax);
  }
  return paths;
}

// Of one directory, without those that it has twice.
std::vector<CdiDevice> read_directory(const std::string& directory, const FindNode& find_node,
                                      CdiInventory* inventory) {
  std::vector<CdiDevice> devices;
  for (const std::string& path : list_specs(directory, inventory)) {
    const auto text = read_spec(path);
    auto spec = text ? parse_cdi_spec(*text, path, find_node)
                     : base::Result<CdiInventory>(base::fail(text.error()));
    if (!spec) {
      inventory->warnings.push_back("a spec is left out: " + spec.error().to_string());
      continue;
    }
    std::ranges::move(spec->devices, std::back_inserter(devices));
    std::ranges::move(spec->warnings, std::back_inserter(inventory->warnings));
  }
  std::set<std::string> seen;
  std::set<std::string> twice;
  for (const CdiDevice& device : devices) {
    if (!seen.insert(device.name).second) twice.insert(device.name);
  }
  for (const std::string& name : twice) {
    inventory->warnings.push_back(directory + " has several devices " + name + ": none is used");
  }
  std::erase_if(devices, [&](const CdiDevice& device) { return twice.contains(device.name); });
  return devices;
}

}  // namespace

std::optional<DeviceNumbers> find_host_node(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISCHR(status.st_mode)) return std::nullopt;
  return DeviceNumbers{major(status.st_rdev), minor(status.st_rdev)};
}

CdiInventory read_cdi_directories(const std::vector<std::string>& directories,
                                  const FindNode& find_node) {
  CdiInventory inventory;
  for (const std::string& directory : directories) {
    for (CdiDevice& device : read_directory(directory, find_node, &inventory)) {
      std::erase_if(inventory.devices,
                    [&](const CdiDevice& other) { return other.name == device.name; });
      inventory.devices.push_back(std::move(device));
    }
  }
  if (inventory.devices.size() > kCdiDevicesMax) {
    inventory.warnings.push_back("only the first " + std::to_string(kCdiDevicesMax) +
                                 " devices are used");
    inventory.devices.resize(kCdiDevicesMax);
  }
  return inventory;
}

}  // namespace airlock::gpu
