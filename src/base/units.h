// Units that live in types: byte counts, and the parsing and printing of "512m" and "1.5s".
//
// Durations are std::chrono. A ByteCount is a whole number of bytes, never negative.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace airlock::base {

class ByteCount {
 public:
  constexpr ByteCount() = default;
  constexpr explicit ByteCount(std::uint64_t bytes) : bytes_(bytes) {}
  constexpr std::uint64_t count() const { return bytes_; }
  constexpr auto operator<=>(const ByteCount&) const = default;

 private:
  std::uint64_t bytes_ = 0;
};

constexpr ByteCount kibibytes(std::uint64_t n) { return ByteCount(n << 10); }
constexpr ByteCount mebibytes(std::uint64_t n) { return ByteCount(n << 20); }
constexpr ByteCount gibibytes(std::uint64_t n) { return ByteCount(n << 30); }

// "4096", "64k", "512m", "512MiB", "2g", "1.5G": powers of 1024; case does not matter.
Result<ByteCount> parse_byte_count(std::string_view text);

// "500ms", "2s", "1.5s", "3m", "1h"; a bare number is seconds. Never negative, at most 30 days.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// "512 MiB", "1.5 GiB", "17 B"
std::string format_byte_count(ByteCount bytes);
// "12.3 ms", "1.50 s", "2 min 05 s"
std::string format_duration(std::chrono::microseconds duration);

}  // namespace airlock::base
