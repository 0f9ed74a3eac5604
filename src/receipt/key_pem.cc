#include "receipt/key_pem.h"

#include <optional>

#include "base/check.h"
#include "receipt/digest.h"
#include "receipt/public_key.h"
#include "receipt/sodium_bytes.h"

namespace airlock::receipt {
namespace {

constexpr std::size_t kLineChars = 64;  // RFC 7468; one is enough for either key
constexpr std::string_view kBlanks = " \t\r\n";

std::string edge(std::string_view word, const KeyForm& form) {
  return "-----" + std::string(word) + " " + std::string(form.label) + "-----";
}

// Takes the first line off `rest`, without what a reader does not see at its end.
std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  while (!line.empty() && static_cast<unsigned char>(line.back()) <= ' ') line.remove_suffix(1);
  return line;
}

// What stands between the two edges.
std::optional<std::string_view> find_body(const KeyForm& form, std::string_view pem) {
  const std::string begin = edge("BEGIN", form);
  const std::string end = edge("END", form);
  while (!pem.empty()) {
    if (take_line(pem) != begin) continue;
    const char* const first = pem.data();
    while (!pem.empty()) {
      const char* const last = pem.data();
      if (take_line(pem) == end) return std::string_view(first, last);
    }
  }
  return std::nullopt;
}

}  // namespace

std::string write_key_pem(const KeyForm& form, std::string_view key) {
  AIRLOCK_CHECK_EQ(key.size(), kKeyBytes);
  std::string der(form.der_head);
  const WipedAtEnd wiped_der(der);
  der.append(key);
  std::string line = encode_base64(der);
  const WipedAtEnd wiped_line(line);
  AIRLOCK_CHECK(line.size() <= kLineChars);
  std::string pem;
  pem.reserve(256);  // grown, it would leave a copy
  pem.append(edge("BEGIN", form)).append("\n").append(line).append("\n");
  pem.append(edge("END", form)).append("\n");
  return pem;  // and no copy of it
}

std::expected<std::string, PemFault> read_key_pem(const KeyForm& form, std::string_view pem) {
  const auto body = find_body(form, pem);
  if (!body) return std::unexpected(PemFault::kNoKey);
  std::string digits(*body);
  const WipedAtEnd wiped_digits(digits);
  std::erase_if(digits, [](char c) { return kBlanks.find(c) != std::string_view::npos; });
  auto der = decode_base64(digits);
  if (!der || der->empty()) return std::unexpected(PemFault::kNoKey);
  const WipedAtEnd wiped_der(*der);
  if (der->size() != form.der_head.size() + kKeyBytes || !der->starts_with(form.der_head)) {
    return std::unexpected(PemFault::kOtherKey);
  }
  return der->substr(form.der_head.size());
}

}  // namespace airlock::receipt
