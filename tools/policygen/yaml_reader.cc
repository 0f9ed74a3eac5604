#include "yaml_reader.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "names.h"

namespace airlock::policygen {

using base::ErrorCode;
using base::Result;

namespace {

std::string place(const std::string& file, const YAML::Mark& mark) {
  return file + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1) + ": ";
}

}  // namespace

Result<YamlFile> parse_yaml(std::string name, const std::string& text) {
  try {
    YAML::Node root = YAML::Load(text);
    return YamlFile{std::move(name), std::move(root)};
  } catch (const YAML::Exception& exception) {
    return base::fail(ErrorCode::kInvalidArgument, place(name, exception.mark) + exception.msg);
  }
}

Result<YamlFile> load_yaml(const std::string& path) {
  std::ifstream stream(path);
  if (!stream) return base::fail_errno("open " + path);
  std::ostringstream text;
  text << stream.rdbuf();
  return parse_yaml(path, text.str());
}

base::Error yaml_error(const YamlFile& file, const YAML::Node& node, std::string_view message) {
  return base::Error{ErrorCode::kInvalidArgument, 0,
                     place(file.name, node.Mark()) + std::string(message), ""};
}

Result<std::string> scalar_text(const YamlFile& file, const YAML::Node& node) {
  if (!node.IsScalar() || node.Scalar().empty()) {
    return base::fail(yaml_error(file, node, "a text is expected here"));
  }
  return node.Scalar();
}

Result<YamlMap> YamlMap::open(const YamlFile& file, const YAML::Node& node,
                              std::initializer_list<std::string_view> keys) {
  if (!node.IsMap()) return base::fail(yaml_error(file, node, "a mapping is expected here"));
  std::set<std::string> seen;
  for (const auto& entry : node) {
    AIRLOCK_ASSIGN(const std::string key, scalar_text(file, entry.first));
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      const std::string hint = suggest_name(key, {keys.begin(), keys.size()});
      return base::fail(yaml_error(file, entry.first, "unknown key '" + key + "'" + hint));
    }
    if (!seen.insert(key).second) {
      return base::fail(yaml_error(file, entry.first, "key '" + key + "' appears twice"));
    }
  }
  return YamlMap(file, node);
}

bool YamlMap::has(std::string_view key) const { return node(key).IsDefined(); }

YAML::Node YamlMap::node(std::string_view key) const {
  const YAML::Node& constant = node_;  // operator[] of a mutable node would insert the key
  return constant[std::string(key)];
}

base::Error YamlMap::error(std::string_view message) const {
  return yaml_error(*file_, node_, message);
}

Result<std::string> YamlMap::text(std::string_view key) const {
  if (!has(key)) return base::fail(error("key '" + std::string(key) + "' is missing"));
  return scalar_text(*file_, node(key));
}

Result<std::string> YamlMap::optional_text(std::string_view key) const {
  if (!has(key)) return std::string();
  return scalar_text(*file_, node(key));
}

Result<std::vector<YAML::Node>> YamlMap::sequence(std::string_view key) const {
  if (!has(key)) return base::fail(error("key '" + std::string(key) + "' is missing"));
  const YAML::Node items = node(key);
  if (!items.IsSequence() || items.size() == 0) {
    return base::fail(yaml_error(*file_, items, "'" + std::string(key) + "' must be a list"));
  }
  return std::vector<YAML::Node>(items.begin(), items.end());
}

}  // namespace airlock::policygen
