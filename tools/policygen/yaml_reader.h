// Strict reading of a policy file: every key is known, present where it must be, and of its type.
//
// Errors are values whose message starts with "file:line:column: ". Nothing is guessed: unknown and
// duplicate keys, empty texts and wrong types are refused, with the nearest valid name. Exceptions
// of yaml-cpp do not leave load_yaml().
#pragma once

#include <yaml-cpp/yaml.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace airlock::policygen {

struct YamlFile {
  std::string name;  // for messages
  YAML::Node root;
};

base::Result<YamlFile> load_yaml(const std::string& path);
base::Result<YamlFile> parse_yaml(std::string name, const std::string& text);

// An error at a place of the file.
base::Error yaml_error(const YamlFile& file, const YAML::Node& node, std::string_view message);

// One mapping of the file; borrows the file, which must outlive it.
class YamlMap {
 public:
  // Refuses anything but a mapping with keys out of `keys`, each at most once.
  static base::Result<YamlMap> open(const YamlFile& file, const YAML::Node& node,
                                    std::initializer_list<std::string_view> keys);

  bool has(std::string_view key) const;
  YAML::Node node(std::string_view key) const;
  base::Error error(std::string_view message) const;

  base::Result<std::string> text(std::string_view key) const;           // must be there, not empty
  base::Result<std::string> optional_text(std::string_view key) const;  // "" when absent
  // Must be there; a sequence with at least one item.
  base::Result<std::vector<YAML::Node>> sequence(std::string_view key) const;

 private:
  YamlMap(const YamlFile& file, YAML::Node node) : file_(&file), node_(std::move(node)) {}

  const YamlFile* file_;
  YAML::Node node_;
};

// A scalar that is not empty.
base::Result<std::string> scalar_text(const YamlFile& file, const YAML::Node& node);

}  // namespace airlock::policygen
