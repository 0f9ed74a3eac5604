// CDI: what the host says that a container needs to use a device (Container Device Interface).
//
// Specs of versions 0.3 to 0.8 and 1.0, YAML or JSON, as nvidia-ctk writes them. A device is what
// its own edits and those of its spec say: nodes, files of the driver, environment. Hooks are never
// run; what else cannot be given makes the device one that does not exist, with a warning that
// names it. Nodes are below /dev, character devices, and what the host has under that name. Reads
// only specs that nobody but root or ourselves can have written. Values; for one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace airlock::gpu {

inline constexpr std::size_t kCdiSpecBytesMax = 1u << 20;
inline constexpr std::size_t kCdiSpecsMax = 64;  // of one directory
inline constexpr std::size_t kCdiDevicesMax = 256;
inline constexpr std::size_t kCdiEditsMax = 256;  // of one kind in one device
inline constexpr std::size_t kCdiPathBytesMax = 1'023;

struct CdiNode {
  std::string host_path;
  std::string path;  // inside
  std::uint32_t major = 0;
  std::uint32_t minor = 0;

  bool operator==(const CdiNode&) const = default;
};

struct CdiMount {
  std::string host_path;
  std::string path;  // inside
  bool executable = true;

  bool operator==(const CdiMount&) const = default;
};

struct CdiDevice {
  std::string name;  // qualified: "nvidia.com/gpu=0"
  std::vector<CdiNode> nodes;
  std::vector<CdiMount> mounts;
  std::vector<std::string> env;  // "NAME=VALUE"

  bool operator==(const CdiDevice&) const = default;
};

struct CdiInventory {
  std::vector<CdiDevice> devices;
  std::vector<std::string> warnings;  // each names a file, and what of it is not used
};

// The numbers of a character device of the host; nullopt if that is something else or nothing.
struct DeviceNumbers {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;

  bool operator==(const DeviceNumbers&) const = default;
};
using FindNode = std::function<std::optional<DeviceNumbers>(const std::string& path)>;
std::optional<DeviceNumbers> find_host_node(const std::string& path);

// An error is about the spec as a whole; about one device it is a warning.
base::Result<CdiInventory> parse_cdi_spec(std::string_view text, std::string_view origin,
                                          const FindNode& find_node);

// Of all specs in these directories. A device of a later directory replaces one of an earlier; two
// of one directory are both left out. A directory that does not exist is empty.
CdiInventory read_cdi_directories(const std::vector<std::string>& directories,
                                  const FindNode& find_node);

// As lines of the table that a launcher reads (jail/grants.h).
std::string encode_device(const CdiDevice& device);

}  // namespace airlock::gpu
