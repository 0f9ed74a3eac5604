#include "language/placeholders.h"

#include <algorithm>

#include "language/nearest_name.h"
#include "language/yaml_reader.h"

namespace airlock::language {
namespace {

bool is_word_char(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

// "source" if `text` starts with "{source}"; empty if it does not start with a placeholder.
std::string_view placeholder_at(std::string_view text) {
  if (!text.starts_with('{')) return {};
  const auto* end = std::ranges::find_if_not(text.substr(1), is_word_char);
  const auto length = static_cast<std::size_t>(end - text.data()) - 1;
  if (length == 0 || length + 1 >= text.size() || text[length + 1] != '}') return {};
  return text.substr(1, length);
}

base::Error unknown_placeholder(std::string_view name, std::span<const PlaceholderValue> values) {
  std::vector<std::string> known;
  for (const PlaceholderValue& value : values) known.push_back("{" + std::string(value.name) + "}");
  const std::string shown = "{" + std::string(name) + "}";
  return {.code = base::ErrorCode::kInvalidArgument,
          .os_errno = 0,
          .message = "unknown placeholder \"" + shown + "\"" + did_you_mean(shown, known),
          .hint = "known here: " + join_names(known)};
}

}  // namespace

base::Result<std::string> fill_placeholders(std::string_view text,
                                            std::span<const PlaceholderValue> values) {
  std::string filled;
  while (!text.empty()) {
    const std::string_view name = placeholder_at(text);
    if (name.empty()) {
      filled += text.front();
      text.remove_prefix(1);
      continue;
    }
    const auto value = std::ranges::find(values, name, &PlaceholderValue::name);
    if (value == values.end()) return base::fail(unknown_placeholder(name, values));
    filled += value->value;
    text.remove_prefix(name.size() + 2);
  }
  return filled;
}

}  // namespace airlock::language
