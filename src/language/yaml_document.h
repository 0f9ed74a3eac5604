// YamlNode: one YAML document as a tree, with the place of everything in it.
//
// Stricter than YAML: one document; no anchors, aliases or tags; keys are plain text and unique; at
// most kYamlDepthMax levels and kYamlNodesMax nodes. Text stays text: whoever reads a node decides
// what a number is, so "010" and "yes" mean nothing here. The caller bounds the size of the text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace airlock::language {

inline constexpr std::size_t kYamlDepthMax = 16;
inline constexpr std::size_t kYamlNodesMax = 20'000;
inline constexpr std::size_t kYamlKeysMax = 1'000;  // of one mapping; keys are compared in pairs

// Both count from 1.
struct YamlPosition {
  int line = 1;
  int column = 1;
};

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNothing, kText, kList, kMapping };

  Kind kind = Kind::kNothing;
  YamlPosition at;
  std::string text;                // kText
  std::vector<YamlNode> items;     // kList
  std::vector<YamlEntry> entries;  // kMapping, in the order of the text

  // Null unless this is a mapping with that key.
  const YamlNode* find(std::string_view key) const;
};

struct YamlEntry {
  std::string key;
  YamlPosition at;
  YamlNode value;
};

// "a list", "a mapping", ...
std::string_view yaml_kind_name(YamlNode::Kind kind);

// kInvalidArgument, "origin:line:column: message".
base::Error yaml_error(std::string_view origin, YamlPosition at, std::string message,
                       std::string hint = {});

// Errors name `origin`.
base::Result<YamlNode> parse_yaml(std::string_view text, std::string_view origin);

}  // namespace airlock::language
