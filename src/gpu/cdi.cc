#include "gpu/cdi.h"

#include <algorithm>
#include <array>
#include <utility>

#include "language/yaml_document.h"
#include "language/yaml_reader.h"

namespace airlock::gpu {
namespace {

using language::YamlNode;
using language::YamlReader;

constexpr std::size_t kTextBytesMax = 4'096;
constexpr std::string_view kVersions[] = {"0.3.0", "0.4.0", "0.5.0", "0.6.0",
                                          "0.7.0", "0.8.0", "1.0.0"};

const std::vector<std::string> kSpecKeys = {"cdiVersion", "kind", "annotations", "devices",
                                            "containerEdits"};
const std::vector<std::string> kDeviceKeys = {"name", "annotations", "containerEdits"};
const std::vector<std::string> kEditKeys = {"env",   "deviceNodes", "mounts",
                                            "hooks", "intelRdt",    "additionalGids"};
const std::vector<std::string> kNodeKeys = {"path",     "hostPath",    "type", "major", "minor",
                                            "fileMode", "permissions", "uid",  "gid"};
const std::vector<std::string> kMountKeys = {"hostPath", "containerPath", "type", "options"};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Letters and digits at both ends, what is in `between` as well inside.
bool is_label(std::string_view text, std::string_view between) {
  const auto is_plain = [](char c) { return is_letter(c) || is_digit(c); };
  return !text.empty() && text.size() <= 100 && is_plain(text.front()) && is_plain(text.back()) &&
         std::ranges::all_of(text, [&](char c) {
           return is_plain(c) || between.find(c) != std::string_view::npos;
         });
}

// "vendor.com/class"
bool is_kind(std::string_view kind) {
  const std::size_t slash = kind.find('/');
  return slash != std::string_view::npos && is_letter(kind.front()) &&
         is_label(kind.substr(0, slash), "._-") && is_label(kind.substr(slash + 1), "_-");
}

bool is_plain_path(std::string_view path) {
  if (!path.starts_with('/') || path.size() > kCdiPathBytesMax) return false;
  for (path.remove_prefix(1);;) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (std::ranges::any_of(part, [](char c) { return static_cast<unsigned char>(c) < ' '; })) {
      return false;
    }
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool is_assignment(std::string_view text) {
  const std::string_view name = text.substr(0, text.find('='));
  return name.size() < text.size() && !name.empty() && !is_digit(name.front()) &&
         text.find_first_of("\t\n") == std::string_view::npos &&
         std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
}

class SpecParser {
 public:
  SpecParser(std::string_view origin, const FindNode& find_node)
      : origin_(origin), reader_(origin, kTextBytesMax), find_node_(find_node) {}

  base::Result<CdiInventory> parse(std::string_view text);

 private:
  base::Result<std::string> read_key(const YamlNode& node, const std::string& what,
                                     std::string_view key);
  base::Status add_edits(const YamlNode* edits, CdiDevice* device);
  base::Status add_env(const YamlNode& list, CdiDevice* device);
  base::Status add_nodes(const YamlNode& list, CdiDevice* device);
  base::Status add_mounts(const YamlNode& list, CdiDevice* device);
  base::Status check_numbers(const YamlNode& item, const CdiNode& node);
  base::Result<CdiDevice> read_device(const YamlNode& node, const YamlNode* common);
  base::Status check_count(const YamlNode& list, const char* what);
  void warn(std::string message) { found_.warnings.push_back(std::move(message)); }
  void warn_once(const YamlNode& edits, const char* key, const char* why);

  std::string origin_;
  YamlReader reader_;
  const FindNode& find_node_;
  CdiInventory found_;
  std::string kind_;
};

base::Result<std::string> SpecParser::read_key(const YamlNode& node, const std::string& what,
                                               std::string_view key) {
  AIRLOCK_ASSIGN(const YamlNode* const value, reader_.require_key(node, what, key));
  return reader_.read_text(*value, std::string(key) + " of " + what);
}

base::Status SpecParser::check_count(const YamlNode& list, const char* what) {
  if (list.kind == YamlNode::Kind::kList && list.items.empty()) return {};
  if (list.kind == YamlNode::Kind::kNothing) return {};
  return reader_.check_list(list, what, kCdiEditsMax);
}

void SpecParser::warn_once(const YamlNode& edits, const char* key, const char* why) {
  const YamlNode* const value = edits.find(key);
  if (value == nullptr || (value->items.empty() && value->entries.empty())) return;
  std::string text = origin_ + ": " + key + " " + why;
  if (std::ranges::find(found_.warnings, text) == found_.warnings.end()) warn(std::move(text));
}

base::Status SpecParser::add_env(const YamlNode& list, CdiDevice* device) {
  AIRLOCK_TRY(check_count(list, "env"));
  for (const YamlNode& item : list.items) {
    AIRLOCK_ASSIGN(std::string text, reader_.read_text(item, "env"));
    if (!is_assignment(text)) {
      return base::fail(reader_.error(item.at, "\"" + text + "\" sets no variable"));
    }
    device->env.push_back(std::move(text));
  }
  return {};
}

base::Status SpecParser::check_numbers(const YamlNode& item, const CdiNode& node) {
  if (const YamlNode* const type = item.find("type")) {
    AIRLOCK_ASSIGN(const std::string text, reader_.read_text(*type, "type of a device node"));
    if (text != "c" && text != "u") {
      return base::fail(reader_.error(
          type->at, "only character devices can be given, and " + node.host_path + " is none"));
    }
  }
  for (const auto& [key, number] : {std::pair("major", node.major), {"minor", node.minor}}) {
    const YamlNode* const said = item.find(key);
    if (said == nullptr) continue;
    AIRLOCK_ASSIGN(const std::uint32_t value, reader_.read_number(*said, key));
    if (value != number) {
      return base::fail(reader_.error(said->at,
                                      "the " + std::string(key) + " number of " + node.host_path +
                                          " is " + std::to_string(number) + " on this host",
                                      "make the spec anew: nvidia-ctk cdi generate"));
    }
  }
  return {};
}

base::Status SpecParser::add_nodes(const YamlNode& list, CdiDevice* device) {
  AIRLOCK_TRY(check_count(list, "deviceNodes"));
  for (const YamlNode& item : list.items) {
    AIRLOCK_TRY(reader_.check_mapping(item, "a device node", kNodeKeys));
    CdiNode node;
    AIRLOCK_ASSIGN(node.path, read_key(item, "a device node", "path"));
    node.host_path = node.path;
    if (item.find("hostPath") != nullptr) {
      AIRLOCK_ASSIGN(node.host_path, read_key(item, "a device node", "hostPath"));
    }
    for (const std::string& path : {node.path, node.host_path}) {
      if (is_plain_path(path) && path.starts_with("/dev/")) continue;
      return base::fail(reader_.error(item.at, "\"" + path + "\" is no path below /dev"));
    }
    const auto numbers = find_node_(node.host_path);
    if (!numbers) {
      return base::fail(
          reader_.error(item.at, node.host_path + " is no character device of this host"));
    }
    std::tie(node.major, node.minor) = std::pair(numbers->major, numbers->minor);
    AIRLOCK_TRY(check_numbers(item, node));
    device->nodes.push_back(std::move(node));
  }
  return {};
}

base::Status SpecParser::add_mounts(const YamlNode& list, CdiDevice* device) {
  AIRLOCK_TRY(check_count(list, "mounts"));
  for (const YamlNode& item : list.items) {
    AIRLOCK_TRY(reader_.check_mapping(item, "a mount", kMountKeys));
    CdiMount mount;
    AIRLOCK_ASSIGN(mount.host_path, read_key(item, "a mount", "hostPath"));
    AIRLOCK_ASSIGN(mount.path, read_key(item, "a mount", "containerPath"));
    for (const std::string& path : {mount.path, mount.host_path}) {
      if (is_plain_path(path)) continue;
      return base::fail(reader_.error(item.at, "\"" + path + "\" is no path"));
    }
    if (const YamlNode* const type = item.find("type")) {
      AIRLOCK_ASSIGN(const std::string text, reader_.read_text(*type, "type of a mount"));
      if (text != "bind") {
        return base::fail(reader_.error(type->at, "a mount of type " + text + " cannot be given"));
      }
    }
    if (const YamlNode* const options = item.find("options")) {
      AIRLOCK_TRY(check_count(*options, "options of a mount"));
      mount.executable = std::ranges::none_of(
          options->items, [](const YamlNode& option) { return option.text == "noexec"; });
    }
    device->mounts.push_back(std::move(mount));
  }
  return {};
}

base::Status SpecParser::add_edits(const YamlNode* edits, CdiDevice* device) {
  if (edits == nullptr || edits->kind == YamlNode::Kind::kNothing) return {};
  AIRLOCK_TRY(reader_.check_mapping(*edits, "containerEdits", kEditKeys));
  warn_once(*edits, "hooks", "are never run");
  warn_once(*edits, "intelRdt", "has no effect");
  warn_once(*edits, "additionalGids", "have no effect: a sandbox has no groups of the host");
  if (const YamlNode* const list = edits->find("env")) AIRLOCK_TRY(add_env(*list, device));
  if (const YamlNode* const list = edits->find("deviceNodes")) {
    AIRLOCK_TRY(add_nodes(*list, device));
  }
  if (const YamlNode* const list = edits->find("mounts")) AIRLOCK_TRY(add_mounts(*list, device));
  return {};
}

base::Result<CdiDevice> SpecParser::read_device(const YamlNode& node, const YamlNode* common) {
  CdiDevice device;
  AIRLOCK_TRY(reader_.check_mapping(node, "a device", kDeviceKeys));
  AIRLOCK_ASSIGN(const std::string name, read_key(node, "a device", "name"));
  if (!is_label(name, "_.:-")) {
    return base::fail(reader_.error(node.at, "\"" + name + "\" is no name of a device"));
  }
  device.name = kind_ + "=" + name;
  AIRLOCK_TRY(add_edits(common, &device));
  AIRLOCK_TRY(add_edits(node.find("containerEdits"), &device));
  return device;
}

base::Result<CdiInventory> SpecParser::parse(std::string_view text) {
  if (text.size() > kCdiSpecBytesMax) {
    return base::fail(base::ErrorCode::kLimitExceeded, origin_ + ": larger than 1 MiB");
  }
  AIRLOCK_ASSIGN(const YamlNode root, language::parse_yaml(text, origin_));
  AIRLOCK_TRY(reader_.check_mapping(root, "a CDI spec", kSpecKeys));
  AIRLOCK_ASSIGN(const std::string version, read_key(root, "a CDI spec", "cdiVersion"));
  if (std::ranges::find(kVersions, version) == std::end(kVersions)) {
    return base::fail(reader_.error(root.at, "cdiVersion " + version + " is not known",
                                    "0.3.0 to 0.8.0 and 1.0.0 are"));
  }
  AIRLOCK_ASSIGN(kind_, read_key(root, "a CDI spec", "kind"));
  if (!is_kind(kind_)) {
    return base::fail(reader_.error(root.at, "\"" + kind_ + "\" is no kind of device",
                                    "VENDOR/CLASS, as nvidia.com/gpu"));
  }
  AIRLOCK_ASSIGN(const YamlNode* const devices, reader_.require_key(root, "a CDI spec", "devices"));
  AIRLOCK_TRY(reader_.check_list(*devices, "devices", kCdiDevicesMax));
  for (const YamlNode& node : devices->items) {
    auto device = read_device(node, root.find("containerEdits"));
    if (device) {
      found_.devices.push_back(std::move(*device));
    } else {
      warn("a device is left out: " + device.error().to_string());
    }
  }
  return std::move(found_);
}

}  // namespace

base::Result<CdiInventory> parse_cdi_spec(std::string_view text, std::string_view origin,
                                          const FindNode& find_node) {
  return SpecParser(origin, find_node).parse(text);
}

std::string encode_device(const CdiDevice& device) {
  std::string text = "device\t" + device.name + "\n";
  for (const CdiNode& node : device.nodes) {
    text += "node\t" + node.host_path + "\t" + node.path + "\t" + std::to_string(node.major) +
            "\t" + std::to_string(node.minor) + "\n";
  }
  for (const CdiMount& mount : device.mounts) {
    text += "mount\t" + mount.host_path + "\t" + mount.path + "\t" +
            (mount.executable ? "exec" : "noexec") + "\n";
  }
  for (const std::string& assignment : device.env) text += "env\t" + assignment + "\n";
  return text;
}

}  // namespace airlock::gpu
