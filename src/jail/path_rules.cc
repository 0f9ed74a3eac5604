#include "jail/path_rules.h"

namespace airlock::jail {
namespace {

// The code point at `at` and its length in bytes; 0 if it is malformed, overlong or a surrogate.
std::size_t decode_utf8(std::string_view text, std::size_t at, std::uint32_t* code) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) {
    *code = first;
    return 1;
  }
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + size > text.size()) return 0;
  std::uint32_t value = first & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    value = value << 6 | (byte(i) & 0x3fu);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[size] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return 0;
  *code = value;
  return size;
}

bool changes_how_text_is_shown(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) ||  // C0, DEL, C1
         (code >= 0x200e && code <= 0x200f) ||            // direction marks
         (code >= 0x2028 && code <= 0x202e) ||            // line separators, embeddings, overrides
         (code >= 0x2066 && code <= 0x2069);              // isolates
}

struct GlobMatcher {
  std::uint32_t steps = 0;

  bool match(std::string_view pattern, std::string_view text) {
    // The last star, to go back to: "*" within a part, "**" across parts.
    std::size_t star = std::string_view::npos;
    std::size_t star_text = 0;
    bool deep = false;
    std::size_t p = 0;
    std::size_t t = 0;
    while (t < text.size() || p < pattern.size()) {
      if (++steps > kGlobStepsMax) return false;
      if (p < pattern.size() && pattern[p] == '*') {
        const bool both = p + 1 < pattern.size() && pattern[p + 1] == '*';
        if (both) return match_deep(pattern.substr(p), text.substr(t));
        star = p;
        star_text = t;
        deep = false;
        ++p;
        continue;
      }
      if (t < text.size() && p < pattern.size() && match_one(pattern, &p, text[t])) {
        ++t;
        continue;
      }
      if (star == std::string_view::npos || star_text >= text.size()) return false;
      if (!deep && text[star_text] == '/') return false;
      t = ++star_text;
      p = star + 1;
    }
    return true;
  }

  // `pattern` begins with "**": it may swallow any number of characters, '/' included; "**/" also
  // none.
  bool match_deep(std::string_view pattern, std::string_view text) {
    std::string_view rest = pattern.substr(2);
    if (!rest.empty() && rest[0] == '/') {
      rest = rest.substr(1);
      while (true) {
        if (++steps > kGlobStepsMax) return false;
        if (match(rest, text)) return true;
        const std::size_t slash = text.find('/');
        if (slash == std::string_view::npos) return false;
        text = text.substr(slash + 1);
      }
    }
    for (std::size_t skip = 0; skip <= text.size(); ++skip) {
      if (++steps > kGlobStepsMax) return false;
      if (match(rest, text.substr(skip))) return true;
    }
    return false;
  }

  static bool match_one(std::string_view pattern, std::size_t* p, char c) {
    if (pattern[*p] == '?') {
      if (c == '/') return false;
      ++*p;
      return true;
    }
    std::size_t at = *p;
    if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
    if (pattern[at] != c) return false;
    *p = at + 1;
    return true;
  }
};

}  // namespace

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > kGuestPathBytesMax) return false;
  std::uint32_t depth = 0;
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.size() > kNameBytesMax) return false;
    if (part.find('\0') != std::string_view::npos || ++depth > kGuestPathDepthMax) return false;
    if (slash == std::string_view::npos) return true;
    path = path.substr(slash + 1);
  }
}

bool is_printable_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t code = 0;
    const std::size_t size = decode_utf8(text, at, &code);
    if (size == 0 || changes_how_text_is_shown(code)) return false;
    at += size;
  }
  return true;
}

bool matches_glob(std::string_view pattern, std::string_view path, std::uint64_t* steps) {
  GlobMatcher matcher;
  const bool matched = matcher.match(pattern, path);
  if (steps != nullptr) *steps += matcher.steps;
  return matched;
}

}  // namespace airlock::jail
