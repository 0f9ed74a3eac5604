#include "http/path_pattern.h"

namespace airlock::http {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Up to the next '/', which is taken away with it; nullopt once nothing is left.
std::optional<std::string_view> take_segment(std::optional<std::string_view>& rest) {
  if (!rest) return std::nullopt;
  const std::size_t slash = rest->find('/');
  const std::string_view segment = rest->substr(0, slash);
  if (slash == std::string_view::npos) {
    rest = std::nullopt;
  } else {
    rest->remove_prefix(slash + 1);
  }
  return segment;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (decoded.find('\0') != std::string::npos) return std::nullopt;
  return decoded;
}

std::optional<std::vector<std::string>> match_path(std::string_view pattern,
                                                   std::string_view path) {
  std::vector<std::string> values;
  std::optional<std::string_view> wanted_rest = pattern;
  std::optional<std::string_view> rest = path;
  while (const auto wanted = take_segment(wanted_rest)) {
    if (wanted->ends_with("...}")) {
      auto tail = percent_decode(rest.value_or(""));
      if (!tail || tail->empty()) return std::nullopt;
      values.push_back(std::move(*tail));
      return values;
    }
    const auto segment = take_segment(rest);
    if (!segment) return std::nullopt;
    if (!wanted->starts_with('{')) {
      if (*segment != *wanted) return std::nullopt;
      continue;
    }
    auto value = percent_decode(*segment);
    if (!value || value->empty() || value->find('/') != std::string::npos) return std::nullopt;
    values.push_back(std::move(*value));
  }
  if (rest) return std::nullopt;
  return values;
}

}  // namespace airlock::http
