#include "http/query.h"

#include <algorithm>
#include <charconv>

#include "http/path_pattern.h"

namespace airlock::http {

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) != name) continue;
    std::string value(pair.substr(std::min(equals + 1, pair.size())));
    std::ranges::replace(value, '+', ' ');
    return percent_decode(value);
  }
  return std::nullopt;
}

ApiResult<std::uint64_t> query_number(std::string_view query, std::string_view name,
                                      std::uint64_t usual, std::uint64_t highest) {
  const auto text = query_value(query, name);
  if (!text) return usual;
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text->data() + text->size() || number > highest) {
    return refuse_field(
        name, std::string(name) + " must be a whole number, at most " + std::to_string(highest));
  }
  return number;
}

bool query_flag(std::string_view query, std::string_view name) {
  const auto value = query_value(query, name);
  return value && *value != "0" && *value != "false";
}

}  // namespace airlock::http
