#include "base/ids.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "base/check.h"

namespace airlock::base {
namespace {

// Crockford's base 32 in lower case: no i, l, o, u, which people misread.
constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";

}  // namespace

void SystemRandom::fill(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    // Why safe: the kernel writes at most bytes.size() bytes into memory that we own.
    const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
    if (got < 0) {
      AIRLOCK_CHECK_EQ(errno, EINTR);
      continue;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

void SeededRandom::fill(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    std::uint64_t word = next();
    const std::size_t count = std::min(bytes.size(), sizeof(word));
    for (std::byte& byte : bytes.first(count)) {
      byte = static_cast<std::byte>(word & 0xff);
      word >>= 8;
    }
    bytes = bytes.subspan(count);
  }
}

// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
std::uint64_t SeededRandom::next() {
  state_ += 0x9e3779b97f4a7c15u;
  std::uint64_t mixed = state_;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return mixed ^ (mixed >> 31);
}

std::string make_id(std::string_view prefix, RandomSource& random) {
  AIRLOCK_CHECK(!prefix.empty());
  AIRLOCK_CHECK_LE(prefix.size(), kIdPrefixBytesMax);
  AIRLOCK_CHECK(std::ranges::all_of(prefix, [](char c) { return c >= 'a' && c <= 'z'; }));
  std::array<std::byte, 16> bytes{};
  random.fill(bytes);
  std::string id(prefix);
  id += '_';
  unsigned pending = 0;
  unsigned pending_bits = 0;
  for (const std::byte byte : bytes) {
    pending = (pending << 8) | std::to_integer<unsigned>(byte);
    pending_bits += 8;
    while (pending_bits >= 5) {
      pending_bits -= 5;
      id += kAlphabet[(pending >> pending_bits) & 31u];
    }
    pending &= (1u << pending_bits) - 1u;
  }
  id += kAlphabet[(pending << (5 - pending_bits)) & 31u];
  return id;
}

std::string make_hex(std::size_t count, RandomSource& random) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::vector<std::byte> bytes(count);
  random.fill(bytes);
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15u];
  }
  return text;
}

bool is_id(std::string_view prefix, std::string_view text) {
  if (text.size() != prefix.size() + 1 + kIdRandomChars) return false;
  if (!text.starts_with(prefix) || text[prefix.size()] != '_') return false;
  return std::ranges::all_of(text.substr(prefix.size() + 1),
                             [](char c) { return kAlphabet.contains(c); });
}

}  // namespace airlock::base
