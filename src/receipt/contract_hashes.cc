#include "receipt/contract_hashes.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <utility>

#include "base/utf8.h"
#include "receipt/digest.h"

namespace airlock::receipt {
namespace {

constexpr char32_t kReplacement = 0xfffd;

void append_unit(std::string& out, unsigned unit) {
  std::array<char, 8> text{};
  (void)std::snprintf(text.data(), text.size(), "\\u%04x", unit & 0xffffu);
  out += text.data();
}

void append_escaped(std::string& out, char32_t character) {
  if (character < 0x10000) {
    append_unit(out, character);
  } else {
    append_unit(out, 0xd800 + ((character - 0x10000) >> 10));
    append_unit(out, 0xdc00 + ((character - 0x10000) & 0x3ff));
  }
}

// The code point of a well-formed character.
char32_t decode(std::string_view character) {
  const auto first = static_cast<unsigned char>(character.front());
  if (character.size() == 1) return first;
  char32_t value = first & (0xffu >> (character.size() + 1));
  for (const char c : character.substr(1)) {
    value = (value << 6) | (static_cast<unsigned char>(c) & 0x3fu);
  }
  return value;
}

void append_ascii(std::string& out, char c) {
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  if (c >= 0x20 && c < 0x7f) {
    out += c;
  } else {
    append_escaped(out, static_cast<unsigned char>(c));
  }
}

// As Python's json.dumps writes a string.
std::string python_text(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t length = base::utf8_character_length(text);
    if (length == 1) {
      append_ascii(out, text.front());
    } else {
      append_escaped(out, length == 0 ? kReplacement : decode(text.substr(0, length)));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + "\"";
}

}  // namespace

ContractHashes hash_for_contract(ContractResult result, std::string_view logs) {
  const std::string text = "{\"jobId\": " + python_text(result.job_id) +
                           ", \"logs\": " + python_text(logs) +
                           ", \"result\": {\"exitCode\": " + std::to_string(result.exit_code) +
                           ", \"status\": " + python_text(result.status) +
                           "}, \"timestamp\": " + python_text(result.timestamp) + "}";
  return {.result = std::move(result),
          .logs_hash = sha256_hex(logs),
          .execution_hash = sha256_hex(text)};
}

std::string naive_utc(model::WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 64> text{};
  (void)std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d",
                      static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                      static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                      static_cast<int>(clock.minutes().count()),
                      static_cast<int>(clock.seconds().count()));
  std::string result = text.data();
  if (const auto micros = static_cast<int>(clock.subseconds().count()); micros != 0) {
    (void)std::snprintf(text.data(), text.size(), ".%06d", micros);
    result += text.data();
  }
  return result;
}

}  // namespace airlock::receipt
