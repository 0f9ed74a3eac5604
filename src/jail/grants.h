// Grants: what an operator lets the callers of a launcher give to sandboxes, by name.
//
// Folders of the host, seen read-only at /NAME, and devices with their driver files, as the
// supervisor found them in the host's CDI specs (gpu/cdi.h). Fixed when the launcher starts; a
// caller can name what is here and nothing else. Values; parsing reads no file.
//
// The table of devices is text, one thing a line, fields parted by tabs:
//   device  NAME
//   node    HOST_PATH  PATH  MAJOR  MINOR       a character device
//   mount   HOST_PATH  PATH  exec|noexec        read-only
//   env     NAME=VALUE                          for the caller: the launcher does nothing with it
// What stands after a `device` is part of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace airlock::jail {

inline constexpr std::size_t kDeviceTableBytesMax = 1u << 20;
inline constexpr std::size_t kDevicesMax = 256;
inline constexpr std::size_t kDevicePartsMax = 256;  // nodes and mounts of one device
inline constexpr std::size_t kDeviceNameBytesMax = 256;
inline constexpr std::size_t kGrantPathBytesMax = 1'023;
inline constexpr std::size_t kFoldersMax = 32;
inline constexpr std::size_t kFolderNameBytesMax = 32;

struct FolderGrant {
  std::string name;  // seen at /name
  std::string path;  // of the host
};

struct DeviceNode {
  std::string source;  // of the host, below /dev
  std::string target;  // the same inside
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
};

struct DeviceMount {
  std::string source;
  std::string target;
  bool executable = false;
};

struct DeviceGrant {
  std::string name;
  std::vector<DeviceNode> nodes;
  std::vector<DeviceMount> mounts;
  std::vector<std::string> env;
};

struct Grants {
  std::vector<FolderGrant> folders;
  std::vector<DeviceGrant> devices;
};

// That a root needs so that something can be mounted there.
struct MountPoint {
  std::string path;
  bool is_folder = false;
};

// "models=/srv/models". The name is no folder that a sandbox has already or a host may have.
base::Result<FolderGrant> parse_folder_grant(std::string_view text);

base::Result<std::vector<DeviceGrant>> parse_device_table(std::string_view text);

// The content of a memfd or file from its beginning, at most kDeviceTableBytesMax.
base::Result<std::string> read_device_table(int fd);

// Leaves out mounts of files that a sandbox sees at the same path anyway, below /usr and its like.
// Gives the mount points of all others, where the host has what is mounted; not those below /dev,
// which init makes for each sandbox.
std::vector<MountPoint> settle_grants(Grants* grants);

// Null if there is none.
const FolderGrant* find_folder(const Grants& grants, std::string_view name);
const DeviceGrant* find_device(const Grants& grants, std::string_view name);

// Absolute, no "." or ".." or empty part, nothing that a line of the table could not hold.
bool is_grant_path(std::string_view path);

}  // namespace airlock::jail
