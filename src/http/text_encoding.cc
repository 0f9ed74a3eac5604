#include "http/text_encoding.h"

#include <algorithm>
#include <cstdint>

#include "base/utf8.h"

namespace airlock::http {

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = base::utf8_character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string_view without_partial_character(std::string_view text) {
  // A character has at most four bytes, so its first is among the last three if it is cut off.
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;
    const std::size_t announced = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return announced > back ? text.substr(0, text.size() - back) : text;
  }
  return text;
}

std::string printable_utf8(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = base::utf8_character_length(text);
    if (length > 0) {
      out += text.substr(0, length);
    } else {
      const auto code = static_cast<unsigned char>(text[0]);
      out.append({'\\', 'x', kDigits[code >> 4], kDigits[code & 0xf]});
    }
    text.remove_prefix(std::max<std::size_t>(1, length));
  }
  return out;
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out.push_back(k <= count ? kAlphabet[group >> (18 - 6 * k) & 0x3f] : '=');
    }
  }
  return out;
}

}  // namespace airlock::http
