// YamlReader: typed, checked access to a YamlNode. Every error says where and what would be right.
//
// Borrows the origin's name; holds nothing else. `what` in the calls below names the thing that is
// read, for messages: "aliases of python".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "language/yaml_document.h"

namespace airlock::language {

class YamlReader {
 public:
  // No text is longer than `text_bytes_max` and none holds control characters but tab and newline.
  YamlReader(std::string_view origin, std::size_t text_bytes_max)
      : origin_(origin), text_bytes_max_(text_bytes_max) {}

  // A mapping with no key but these. A key that is missing is found by `require_key`.
  base::Status check_mapping(const YamlNode& node, std::string_view what,
                             std::span<const std::string> keys) const;
  base::Result<const YamlNode*> require_key(const YamlNode& mapping, std::string_view what,
                                            std::string_view key) const;

  base::Status check_text(const YamlNode& node, std::string_view what) const;
  // Never empty.
  base::Result<std::string> read_text(const YamlNode& node, std::string_view what) const;
  // Decimal digits only.
  base::Result<std::uint32_t> read_number(const YamlNode& node, std::string_view what) const;
  // A list with 1 to `count_max` items.
  base::Status check_list(const YamlNode& node, std::string_view what, std::size_t count_max) const;

  base::Error error(YamlPosition at, std::string message, std::string hint = {}) const {
    return yaml_error(origin_, at, std::move(message), std::move(hint));
  }
  // The same error at a place: for values that other parsers have refused.
  base::Error error_at(YamlPosition at, const base::Error& cause) const {
    return yaml_error(origin_, at, cause.message, cause.hint);
  }

 private:
  std::string_view origin_;
  std::size_t text_bytes_max_;
};

// "a", "a or b", "a, b or c"
std::string join_names(std::span<const std::string> names, std::string_view last = " or ");

}  // namespace airlock::language
