#include "egress_presets_policy.h"

#include <algorithm>

#include "yaml_reader.h"

namespace airlock::policygen {
namespace {

using base::Result;
using base::Status;

// As egress::parse_rule has it, without a port; a test reads every entry with that.
bool is_host(std::string_view host) {
  if (host.starts_with('.')) host.remove_prefix(1);
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  return host.find('.') != std::string_view::npos && !host.starts_with('.') &&
         !host.ends_with('.') && std::ranges::all_of(host, fits);
}

Status read_hosts(const YamlFile& file, const YAML::Node& list, EgressPreset& preset) {
  if (!list.IsSequence() || list.size() == 0) {
    return base::fail(yaml_error(file, list, "'" + preset.name + "' must be a list of hosts"));
  }
  for (const YAML::Node& item : list) {
    AIRLOCK_ASSIGN(const YamlMap map, YamlMap::open(file, item, {"host", "reason"}));
    AIRLOCK_ASSIGN(std::string host, map.text("host"));
    AIRLOCK_TRY(map.text("reason"));
    if (!is_host(host)) {
      return base::fail(yaml_error(file, map.node("host"), "'" + host + "' is no name of a host"));
    }
    if (std::ranges::find(preset.hosts, host) != preset.hosts.end()) {
      return base::fail(yaml_error(file, map.node("host"), "'" + host + "' appears twice"));
    }
    preset.hosts.push_back(std::move(host));
  }
  return {};
}

}  // namespace

Result<std::vector<EgressPreset>> load_egress_presets(const std::string& path) {
  AIRLOCK_ASSIGN(const YamlFile file, load_yaml(path));
  if (!file.root.IsMap()) {
    return base::fail(yaml_error(file, file.root, "must be a mapping of names to lists of hosts"));
  }
  std::vector<EgressPreset> presets;
  for (const auto& pair : file.root) {
    EgressPreset preset;
    AIRLOCK_ASSIGN(preset.name, scalar_text(file, pair.first));
    AIRLOCK_TRY(read_hosts(file, pair.second, preset));
    const auto has_name = [&](const EgressPreset& other) { return other.name == preset.name; };
    if (std::ranges::any_of(presets, has_name)) {
      return base::fail(yaml_error(file, pair.first, "'" + preset.name + "' appears twice"));
    }
    presets.push_back(std::move(preset));
  }
  return presets;
}

}  // namespace airlock::policygen
