#include "jail/grants.h"

#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <charconv>

#include "jail/host_view.h"

namespace airlock::jail {
namespace {

constexpr std::size_t kFieldsMax = 5;

// At the top of a sandbox, or of hosts whose programs would look for their own there.
constexpr std::string_view kTakenNames[] = {
    "workspace", "tmp", "output", "input", "build", "work",   "bin",    "boot",      "dev",  "etc",
    "home",      "lib", "media",  "mnt",   "opt",   "proc",   "root",   "run",       "sbin", "srv",
    "sys",       "usr", "var",    "lib32", "lib64", "libx32", "libo32", "lost+found"};
// Below these a mount of a device would hide what is the sandbox's own.
constexpr std::string_view kOwnTrees[] = {"workspace", "tmp",  "output", "input", "build",
                                          "work",      "proc", "sys",    ".ws",   ".empty"};
constexpr std::string_view kOwnDevices[] = {"shm",    "pts",     "ptmx", "fd",      "stdin",
                                            "stdout", "stderr",  "null", "zero",    "full",
                                            "random", "urandom", "tty",  "console", "mqueue"};

base::Result<std::vector<DeviceGrant>> refuse(std::size_t line, const std::string& why) {
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "line " + std::to_string(line) + " of the table of devices: " + why);
}

bool is_below(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

// Without control characters.
bool is_line(std::string_view text) {
  return std::ranges::none_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

std::string_view first_part(std::string_view path) { return path.substr(0, path.find('/')); }

template <std::size_t count>
bool contains(const std::string_view (&names)[count], std::string_view name) {
  return std::ranges::find(names, name) != std::end(names);
}

bool is_node_target(std::string_view path) {
  return is_grant_path(path) && is_below(path, "/dev") &&
         !contains(kOwnDevices, first_part(path.substr(5)));
}

bool is_mount_target(std::string_view path) {
  if (!is_grant_path(path) || path.find('/', 1) == std::string_view::npos) return false;
  const std::string_view top = first_part(path.substr(1));
  if (top == "dev") return is_node_target(path);
  return !contains(kOwnTrees, top);
}

// Below /usr, or /lib and its like: those are /usr or seen as a whole.
bool is_seen(std::string_view path) {
  const auto holds = [&](const BindEntry& entry) { return is_below(path, entry.path); };
  return std::ranges::any_of(host_trees(), holds) || std::ranges::any_of(host_roots(), holds);
}

bool read_number(std::string_view text, std::uint32_t* number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

// An empty one stands for a line with too many fields.
std::vector<std::string_view> split_fields(std::string_view line) {
  std::vector<std::string_view> fields;
  for (;;) {
    const std::size_t tab = line.find('\t');
    fields.push_back(line.substr(0, tab));
    if (fields.size() > kFieldsMax) return {};
    if (tab == std::string_view::npos) return fields;
    line.remove_prefix(tab + 1);
  }
}

// Why the line is wrong; empty if it is right.
std::string take_line(const std::vector<std::string_view>& fields,
                      std::vector<DeviceGrant>* devices) {
  const std::string_view kind = fields.empty() ? std::string_view() : fields[0];
  if (kind == "device") {
    if (fields.size() != 2 || fields[1].empty() || fields[1].size() > kDeviceNameBytesMax ||
        !is_line(fields[1])) {
      return "not a name of a device";
    }
    if (devices->size() == kDevicesMax) return "too many devices";
    const auto same = std::ranges::find(*devices, fields[1], &DeviceGrant::name);
    if (same != devices->end()) return "the second device of that name";
    devices->push_back({.name = std::string(fields[1]), .nodes = {}, .mounts = {}, .env = {}});
    return {};
  }
  if (devices->empty()) return "it belongs to no device";
  DeviceGrant& device = devices->back();
  if (device.nodes.size() + device.mounts.size() + device.env.size() >= kDevicePartsMax) {
    return "too much in one device";
  }
  if (kind == "node" && fields.size() == 5) {
    DeviceNode node{.source = std::string(fields[1]), .target = std::string(fields[2])};
    if (!is_grant_path(fields[1]) || !is_below(fields[1], "/dev") || !is_node_target(fields[2])) {
      return "not a path of a device below /dev";
    }
    if (!read_number(fields[3], &node.major) || !read_number(fields[4], &node.minor)) {
      return "not the numbers of a device";
    }
    device.nodes.push_back(std::move(node));
    return {};
  }
  if (kind == "mount" && fields.size() == 4 && (fields[3] == "exec" || fields[3] == "noexec")) {
    if (!is_grant_path(fields[1]) || !is_mount_target(fields[2])) return "not a path of a mount";
    device.mounts.push_back({std::string(fields[1]), std::string(fields[2]), fields[3] == "exec"});
    return {};
  }
  if (kind == "env" && fields.size() == 2 && fields[1].find('=') != std::string_view::npos &&
      fields[1].front() != '=') {
    device.env.emplace_back(fields[1]);
    return {};
  }
  return "not a line of it";
}

}  // namespace

bool is_grant_path(std::string_view path) {
  if (!path.starts_with('/') || path.size() > kGrantPathBytesMax || !is_line(path)) return false;
  for (std::size_t start = 1; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return false;
    start = end + 1;
  }
  return true;
}

base::Result<FolderGrant> parse_folder_grant(std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const bool named =
      !name.empty() && name.size() <= kFolderNameBytesMax && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
      });
  if (equals == std::string_view::npos || !named || !is_grant_path(text.substr(equals + 1))) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "\"" + std::string(text) + "\" is no folder to give to sandboxes",
                      "NAME=/PATH with a name of a-z, 0-9, _ and -, as models=/srv/models");
  }
  if (contains(kTakenNames, name)) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "/" + std::string(name) + " is something else in a sandbox",
                      "choose another name for that folder");
  }
  return FolderGrant{std::string(name), std::string(text.substr(equals + 1))};
}

base::Result<std::vector<DeviceGrant>> parse_device_table(std::string_view text) {
  std::vector<DeviceGrant> devices;
  if (text.size() > kDeviceTableBytesMax) return refuse(0, "it is too long");
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return refuse(line, "it does not end");
    const std::string why = take_line(split_fields(text.substr(0, end)), &devices);
    if (!why.empty()) return refuse(line, why);
    text.remove_prefix(end + 1);
  }
  return devices;
}

base::Result<std::string> read_device_table(int fd) {
  std::string text;
  char piece[4096];
  while (text.size() <= kDeviceTableBytesMax) {
    const ssize_t count = pread(fd, piece, sizeof piece, static_cast<off_t>(text.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("read the table of devices");
    if (count == 0) return text;
    text.append(piece, static_cast<std::size_t>(count));
  }
  return base::fail(base::ErrorCode::kLimitExceeded, "the table of devices is too long");
}

std::vector<MountPoint> settle_grants(Grants* grants) {
  std::vector<MountPoint> points;
  for (const FolderGrant& folder : grants->folders) points.push_back({"/" + folder.name, true});
  for (DeviceGrant& device : grants->devices) {
    std::erase_if(device.mounts, [](const DeviceMount& mount) {
      return mount.source == mount.target && is_seen(mount.target);
    });
    for (const DeviceMount& mount : device.mounts) {
      struct stat status{};
      if (is_seen(mount.target) || is_below(mount.target, "/dev") ||
          stat(mount.source.c_str(), &status) != 0)
        continue;
      points.push_back({mount.target, S_ISDIR(status.st_mode)});
    }
  }
  std::ranges::sort(points, {}, &MountPoint::path);
  const auto again = std::ranges::unique(points, {}, &MountPoint::path);
  points.erase(again.begin(), again.end());
  return points;
}

const FolderGrant* find_folder(const Grants& grants, std::string_view name) {
  const auto found = std::ranges::find(grants.folders, name, &FolderGrant::name);
  return found == grants.folders.end() ? nullptr : &*found;
}

const DeviceGrant* find_device(const Grants& grants, std::string_view name) {
  const auto found = std::ranges::find(grants.devices, name, &DeviceGrant::name);
  return found == grants.devices.end() ? nullptr : &*found;
}

}  // namespace airlock::jail
