#include "artifact/names.h"

#include "artifact/digest.h"
#include "base/utf8.h"

namespace airlock::artifact {
namespace {

// The length of the printable character at the start of `text`; 0 if there is none.
std::size_t printable_length(std::string_view text) {
  const std::size_t length = base::utf8_character_length(text);
  const auto first = static_cast<unsigned char>(text[0]);
  if (length == 1 && (first < 0x20 || first == 0x7f)) return 0;
  const bool is_c1 = length == 2 && first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
  return is_c1 ? 0 : length;
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

base::Status refuse(std::string_view path, std::string_view why) {
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "the name " + quoted(path) + " cannot be used: " + std::string(why));
}

}  // namespace

bool has_unprintable(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = printable_length(text);
    if (length == 0) return true;
    text.remove_prefix(length);
  }
  return false;
}

base::Status check_relative_path(std::string_view path) {
  if (path.empty()) return refuse(path, "it is empty");
  if (path.size() > kKeyBytesMax) return refuse(path, "it has more than 1,024 bytes");
  if (path.front() == '/') return refuse(path, "it is absolute");
  if (has_unprintable(path)) return refuse(path, "it holds a control character or is not UTF-8");
  std::size_t depth = 0;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, end - start);
    if (part.empty()) return refuse(path, "a part of it is empty");
    if (part == "." || part == "..") return refuse(path, "a part of it is \".\" or \"..\"");
    if (part.size() > kNameBytesMax) return refuse(path, "a part of it has more than 255 bytes");
    if (++depth > kPathDepthMax) return refuse(path, "it is more than 64 folders deep");
    start = end + 1;
  }
  return {};
}

std::string quoted(std::string_view text) {
  std::string printed = "\"";
  while (!text.empty()) {
    if (printed.size() > kPrintedBytesMax) return printed + "...\"";
    const std::size_t length = printable_length(text);
    if (length == 0) {
      printed += "\\x" + to_hex(text.substr(0, 1));
      text.remove_prefix(1);
      continue;
    }
    if (text[0] == '"' || text[0] == '\\') printed += '\\';
    printed += text.substr(0, length);
    text.remove_prefix(length);
  }
  return printed + '"';
}

std::string percent_encode(std::string_view text, std::string_view kept) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size() + text.size() / 2);
  for (const char c : text) {
    if (is_unreserved(c) || kept.find(c) != std::string_view::npos) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kDigits[byte >> 4];
    encoded += kDigits[byte & 15];
  }
  return encoded;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const std::string byte = from_hex(text.substr(i + 1, 2));
    if (byte.size() != 1) return std::nullopt;
    decoded += byte;
    i += 2;
  }
  return decoded;
}

}  // namespace airlock::artifact
