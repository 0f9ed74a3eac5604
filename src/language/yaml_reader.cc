#include "language/yaml_reader.h"

#include <algorithm>
#include <charconv>

#include "language/nearest_name.h"

namespace airlock::language {
namespace {

bool is_control(unsigned char c) { return (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f; }

}  // namespace

std::string join_names(std::span<const std::string> names, std::string_view last) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? std::string(last) : ", ";
    text += names[i];
  }
  return text;
}

base::Status YamlReader::check_mapping(const YamlNode& node, std::string_view what,
                                       std::span<const std::string> keys) const {
  if (node.kind != YamlNode::Kind::kMapping) {
    return base::fail(error(
        node.at,
        std::string(what) + " must be a mapping, not " + std::string(yaml_kind_name(node.kind)),
        "its keys: " + join_names(keys)));
  }
  for (const YamlEntry& entry : node.entries) {
    if (std::ranges::find(keys, entry.key) != keys.end()) continue;
    return base::fail(error(
        entry.at,
        "unknown key \"" + entry.key + "\" in " + std::string(what) + did_you_mean(entry.key, keys),
        "known here: " + join_names(keys)));
  }
  return {};
}

base::Result<const YamlNode*> YamlReader::require_key(const YamlNode& mapping,
                                                      std::string_view what,
                                                      std::string_view key) const {
  const YamlNode* node = mapping.find(key);
  if (node == nullptr) {
    return base::fail(
        error(mapping.at, std::string(what) + " lacks the key \"" + std::string(key) + "\""));
  }
  return node;
}

base::Status YamlReader::check_text(const YamlNode& node, std::string_view what) const {
  if (node.kind != YamlNode::Kind::kText) {
    return base::fail(error(node.at, std::string(what) + " must be text, not " +
                                         std::string(yaml_kind_name(node.kind))));
  }
  if (node.text.size() > text_bytes_max_) {
    return base::fail(error(node.at, std::string(what) + " is longer than " +
                                         std::to_string(text_bytes_max_) + " bytes"));
  }
  if (std::ranges::any_of(node.text, is_control)) {
    return base::fail(error(node.at, std::string(what) + " holds a control character"));
  }
  return {};
}

base::Result<std::string> YamlReader::read_text(const YamlNode& node, std::string_view what) const {
  AIRLOCK_TRY(check_text(node, what));
  if (node.text.empty()) return base::fail(error(node.at, std::string(what) + " is empty"));
  return node.text;
}

base::Result<std::uint32_t> YamlReader::read_number(const YamlNode& node,
                                                    std::string_view what) const {
  AIRLOCK_TRY(check_text(node, what));
  std::uint32_t number = 0;
  const char* end = node.text.data() + node.text.size();
  const auto [stop, error_code] = std::from_chars(node.text.data(), end, number);
  const bool leading_zero = node.text.size() > 1 && node.text.front() == '0';
  if (error_code != std::errc() || stop != end || leading_zero) {
    return base::fail(
        error(node.at, std::string(what) + " must be a whole number, not \"" + node.text + "\"",
              "write decimal digits, for example 128"));
  }
  return number;
}

base::Status YamlReader::check_list(const YamlNode& node, std::string_view what,
                                    std::size_t count_max) const {
  if (node.kind != YamlNode::Kind::kList) {
    return base::fail(
        error(node.at,
              std::string(what) + " must be a list, not " + std::string(yaml_kind_name(node.kind)),
              "write [a, b]"));
  }
  if (node.items.empty())
    return base::fail(error(node.at, std::string(what) + " is an empty list"));
  if (node.items.size() > count_max) {
    return base::fail(error(node.items[count_max].at, std::string(what) + " has more than " +
                                                          std::to_string(count_max) + " items"));
  }
  return {};
}

}  // namespace airlock::language
