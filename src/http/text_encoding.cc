#include "http/text_encoding.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/utf8.h"

namespace airlock::http {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 0xff;

constexpr std::array<std::uint8_t, 256> make_digits() {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    digits[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return digits;
}
constexpr std::array<std::uint8_t, 256> kDigitOf = make_digits();

// How many bytes at the start of `text` are ASCII, at least as far as whole words of eight are:
// nearly all that programs write, and characters one by one take ten times as long.
std::size_t ascii_length(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080'8080'8080'8080;
  std::size_t length = 0;
  while (length + sizeof(std::uint64_t) <= text.size()) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + length, sizeof word);
    if ((word & kHighBits) != 0) break;
    length += sizeof word;
  }
  return length;
}

// How many bytes at the start of `text`, which begins with no character, are the beginning of one:
// at least 1. Whether a beginning is one is asked by completing it with the lowest and the highest
// bytes that can follow.
std::size_t broken_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t announced = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1;
  for (std::size_t count = std::min(announced, text.size() + 1) - 1; count > 1; --count) {
    for (const char filler : {'\x80', '\xbf'}) {
      std::string completed(text.substr(0, count));
      completed.resize(announced, filler);
      if (base::utf8_character_length(completed) == announced) return count;
    }
  }
  return 1;
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (true) {
    text.remove_prefix(ascii_length(text));
    if (text.empty()) return true;
    const std::size_t length = base::utf8_character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
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
    std::size_t length = ascii_length(text);
    if (length == 0) length = base::utf8_character_length(text);
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
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]));
  };
  std::string out((bytes.size() + 2) / 3 * 4, '=');
  std::size_t at = 0;
  const auto put = [&](std::uint32_t group, int digits) {
    for (int shift = 18; digits > 0; --digits, shift -= 6) {
      out[at++] = kAlphabet[group >> shift & 0x3f];
    }
  };
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) put(byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2), 4);
  if (bytes.size() - i == 1) put(byte(i) << 16, 2);
  if (bytes.size() - i == 2) put(byte(i) << 16 | byte(i + 1) << 8, 3);
  return out;
}

std::string utf8_with_replacement(std::string_view bytes) {
  static constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    std::size_t length = ascii_length(bytes);
    if (length == 0) length = base::utf8_character_length(bytes);
    if (length > 0) {
      out += bytes.substr(0, length);
    } else {
      out += kReplacement;
      length = broken_length(bytes);
    }
    bytes.remove_prefix(length);
  }
  return out;
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);
  std::string bytes(text.size() * 6 / 8, '\0');
  std::size_t at = 0;
  std::size_t i = 0;
  for (; i + 4 <= text.size(); i += 4) {
    const auto digit = [&](std::size_t k) -> std::uint32_t {
      return kDigitOf[static_cast<unsigned char>(text[i + k])];
    };
    const std::uint32_t all = digit(0) | digit(1) | digit(2) | digit(3);
    if (all == kNoDigit) return std::nullopt;  // digits have six bits
    const std::uint32_t group = digit(0) << 18 | digit(1) << 12 | digit(2) << 6 | digit(3);
    bytes[at] = static_cast<char>(group >> 16 & 0xff);
    bytes[at + 1] = static_cast<char>(group >> 8 & 0xff);
    bytes[at + 2] = static_cast<char>(group & 0xff);
    at += 3;
  }
  std::uint32_t bits = 0;  // of the group that was padded
  unsigned count = 0;
  for (; i < text.size(); ++i) {
    const std::uint8_t digit = kDigitOf[static_cast<unsigned char>(text[i])];
    if (digit == kNoDigit) return std::nullopt;
    bits = bits << 6 | digit;
    count += 6;
  }
  for (; count >= 8; count -= 8) bytes[at++] = static_cast<char>(bits >> (count - 8) & 0xff);
  if ((bits & ((1u << count) - 1)) != 0) return std::nullopt;
  return bytes;
}

}  // namespace airlock::http
