#include "host_view_policy.h"

#include <set>

#include "yaml_reader.h"

namespace airlock::policygen {

using base::Result;
using base::Status;

namespace {

enum class Patterns { kForbidden, kAllowed };

// How the entries of one list look.
struct ListShape {
  std::string_view key;        // in the yaml
  std::string_view below;      // every path starts with it
  std::string_view extra_key;  // the one key beside path and reason, "" for none
  Patterns patterns = Patterns::kForbidden;
};

Status check_path(const YamlFile& file, const YAML::Node& node, const ListShape& shape,
                  ViewEntry& entry) {
  const std::string& path = entry.path;
  const auto refuse = [&](std::string_view why) {
    return base::fail(yaml_error(file, node, "path '" + path + "' " + std::string(why)));
  };
  if (!path.starts_with(shape.below) || path == shape.below) {
    return refuse("must lie below " + std::string(shape.below));
  }
  if (path.ends_with('/') || path.find("//") != std::string::npos ||
      (path + "/").find("/../") != std::string::npos ||
      (path + "/").find("/./") != std::string::npos) {
    return refuse("must be tidy: no '//', '.', '..' or slash at its end");
  }
  entry.pattern = path.find_first_of("*?[") != std::string::npos;
  if (entry.pattern && shape.patterns == Patterns::kForbidden) {
    return refuse("is a pattern, which only entries of etc may be");
  }
  return {};
}

Status read_extra(const YamlFile& file, const YamlMap& map, const ListShape& shape,
                  ViewEntry& entry) {
  if (shape.extra_key == "required") {
    AIRLOCK_ASSIGN(const std::string required, map.optional_text("required"));
    if (!required.empty() && required != "true" && required != "false") {
      return base::fail(yaml_error(file, map.node("required"), "must be true or false"));
    }
    entry.required = required == "true";
  } else if (shape.extra_key == "kind") {
    AIRLOCK_ASSIGN(const std::string kind, map.text("kind"));
    if (kind != "file" && kind != "folder") {
      return base::fail(yaml_error(file, map.node("kind"), "must be file or folder"));
    }
    entry.folder = kind == "folder";
  } else if (shape.extra_key == "content") {
    AIRLOCK_ASSIGN(entry.content, map.text("content"));
  } else if (shape.extra_key == "target") {
    AIRLOCK_ASSIGN(entry.target, map.text("target"));
  }
  return {};
}

Result<std::vector<ViewEntry>> read_list(const YamlFile& file, const YamlMap& view,
                                         const ListShape& shape, std::set<std::string>& paths) {
  std::vector<ViewEntry> entries;
  AIRLOCK_ASSIGN(const auto items, view.sequence(shape.key));
  const std::string_view extra_key = shape.extra_key.empty() ? "path" : shape.extra_key;
  for (const YAML::Node& item : items) {
    AIRLOCK_ASSIGN(const YamlMap map, YamlMap::open(file, item, {"path", "reason", extra_key}));
    ViewEntry entry;
    AIRLOCK_ASSIGN(entry.path, map.text("path"));
    AIRLOCK_ASSIGN(entry.reason, map.text("reason"));
    AIRLOCK_TRY(check_path(file, map.node("path"), shape, entry));
    AIRLOCK_TRY(read_extra(file, map, shape, entry));
    if (!paths.insert(entry.path).second) {
      return base::fail(
          yaml_error(file, map.node("path"), "path '" + entry.path + "' appears twice"));
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace

Result<HostView> load_host_view(const std::string& path) {
  AIRLOCK_ASSIGN(const YamlFile file, load_yaml(path));
  AIRLOCK_ASSIGN(const YamlMap map, YamlMap::open(file, file.root,
                                                  {"trees", "roots", "etc", "devices", "files",
                                                   "links", "proc_masks", "proc_guarded"}));
  HostView view;
  std::set<std::string> paths;
  const auto read = [&](const ListShape& shape) { return read_list(file, map, shape, paths); };
  AIRLOCK_ASSIGN(view.trees, read({"trees", "/", "required"}));
  AIRLOCK_ASSIGN(view.roots, read({"roots", "/", ""}));
  AIRLOCK_ASSIGN(view.etc, read({"etc", "/etc/", "required", Patterns::kAllowed}));
  AIRLOCK_ASSIGN(view.devices, read({"devices", "/dev/", "required"}));
  AIRLOCK_ASSIGN(view.files, read({"files", "/etc/", "content"}));
  AIRLOCK_ASSIGN(view.links, read({"links", "/", "target"}));
  AIRLOCK_ASSIGN(view.proc_masks, read({"proc_masks", "/proc/", "kind"}));
  AIRLOCK_ASSIGN(view.proc_guarded, read({"proc_guarded", "/proc/", ""}));
  return view;
}

}  // namespace airlock::policygen
