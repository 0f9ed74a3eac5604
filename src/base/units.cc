#include "base/units.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <limits>
#include <optional>

#include "base/ascii.h"

namespace airlock::base {
namespace {

// Digits after the point that are read: finer than any unit needs, and no overflow below.
constexpr std::size_t kFractionDigitsMax = 9;
constexpr std::size_t kWholeDigitsMax = 20;  // of 2^64 - 1
constexpr std::chrono::milliseconds kDurationMax = std::chrono::hours(24 * 30);

// A decimal number as the fraction numerator / denominator (a power of ten).
struct Decimal {
  unsigned __int128 numerator = 0;
  std::uint64_t denominator = 1;
  std::string_view rest;  // what follows the number
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::size_t count_digits(std::string_view text) {
  const auto* end = std::ranges::find_if_not(text, is_digit);
  return static_cast<std::size_t>(end - text.begin());
}

void append_digits(std::string_view digits, Decimal& number) {
  for (const char digit : digits) {
    number.numerator = number.numerator * 10 + static_cast<unsigned>(digit - '0');
  }
}

// Nothing if the text does not start with "12" or "12.5", or has more digits than make sense.
std::optional<Decimal> read_decimal(std::string_view text) {
  Decimal number;
  const std::size_t whole_digits = count_digits(text);
  if (whole_digits == 0 || whole_digits > kWholeDigitsMax) return std::nullopt;
  append_digits(text.substr(0, whole_digits), number);
  text.remove_prefix(whole_digits);
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const std::size_t fraction_digits = count_digits(text);
    if (fraction_digits == 0 || fraction_digits > kFractionDigitsMax) return std::nullopt;
    append_digits(text.substr(0, fraction_digits), number);
    for (std::size_t i = 0; i < fraction_digits; ++i) number.denominator *= 10;
    text.remove_prefix(fraction_digits);
  }
  number.rest = text;
  return number;
}

// The power of 1024 that a unit stands for.
std::optional<unsigned> find_byte_unit(std::string_view unit) {
  if (unit.empty() || unit == "b") return 0;
  constexpr std::string_view kPrefixes = "kmgt";
  const std::size_t power = kPrefixes.find(unit.front());
  const std::string_view suffix = unit.substr(1);
  if (power == std::string_view::npos) return std::nullopt;
  if (!suffix.empty() && suffix != "b" && suffix != "ib") return std::nullopt;
  return static_cast<unsigned>(power) + 1;
}

std::optional<std::uint64_t> find_milliseconds_per(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit.empty() || unit == "s") return 1'000;
  if (unit == "m" || unit == "min") return 60'000;
  if (unit == "h") return 3'600'000;
  return std::nullopt;
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

}  // namespace

Result<ByteCount> parse_byte_count(std::string_view text) {
  const auto bad = [text](std::string_view why) {
    return fail(ErrorCode::kInvalidArgument, quoted(text) + " is not a size: " + std::string(why),
                "write a number and a unit, for example 64k, 512m or 1.5g");
  };
  const std::optional<Decimal> number = read_decimal(text);
  if (!number) return bad("it does not start with a number");
  const std::string unit = ascii_lower(number->rest);
  const std::optional<unsigned> power = find_byte_unit(unit);
  if (!power) return bad("unknown unit " + quoted(number->rest));
  if (*power == 0 && number->denominator != 1) return bad("a byte cannot be divided");
  if (number->numerator >> (126 - 10 * *power) != 0) return bad("it is too large");
  const unsigned __int128 bytes = (number->numerator << (10 * *power)) / number->denominator;
  if (bytes > std::numeric_limits<std::uint64_t>::max()) return bad("it is too large");
  return ByteCount(static_cast<std::uint64_t>(bytes));
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto bad = [text](std::string_view why) {
    return fail(ErrorCode::kInvalidArgument,
                quoted(text) + " is not a duration: " + std::string(why),
                "write a number and a unit, for example 500ms, 1.5s, 3m or 1h");
  };
  const std::optional<Decimal> number = read_decimal(text);
  if (!number) return bad("it does not start with a number");
  const std::optional<std::uint64_t> unit_ms = find_milliseconds_per(number->rest);
  if (!unit_ms) return bad("unknown unit " + quoted(number->rest));
  const unsigned __int128 product = number->numerator * *unit_ms;
  if (product % number->denominator != 0) return bad("it is finer than a millisecond");
  const unsigned __int128 total_ms = product / number->denominator;
  if (total_ms > static_cast<std::uint64_t>(kDurationMax.count())) {
    return bad("it is longer than 30 days");
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(total_ms));
}

std::string format_byte_count(ByteCount bytes) {
  constexpr std::array<std::string_view, 7> kUnits = {"B",   "KiB", "MiB", "GiB",
                                                      "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  const auto tenths_in = [bytes](std::size_t power) {
    const unsigned shift = static_cast<unsigned>(10 * power);
    const unsigned __int128 scaled = static_cast<unsigned __int128>(bytes.count()) * 10;
    const unsigned __int128 half =
        shift == 0 ? 0 : static_cast<unsigned __int128>(1) << (shift - 1);
    return static_cast<std::uint64_t>((scaled + half) >> shift);
  };
  while (unit + 1 < kUnits.size() && tenths_in(unit) >= 10'240) ++unit;
  const std::uint64_t tenths = tenths_in(unit);
  std::string text = std::to_string(tenths / 10);
  if (tenths % 10 != 0) text += "." + std::to_string(tenths % 10);
  return text + " " + std::string(kUnits[unit]);
}

std::string format_duration(std::chrono::microseconds duration) {
  if (duration < std::chrono::microseconds(0)) return "-" + format_duration(-duration);
  const std::int64_t us = duration.count();
  std::array<char, 48> text{};
  const auto print = [&text](const char* format, auto... values) {
    std::snprintf(text.data(), text.size(), format, values...);
    return std::string(text.data());
  };
  // The borders are where the rounded number would no longer fit the unit: 999.95 ms is "1.00 s".
  if (us < 999'950) return print("%.1f ms", static_cast<double>(us) / 1e3);
  if (us < 59'995'000) return print("%.2f s", static_cast<double>(us) / 1e6);
  const long long seconds = (us + 500'000) / 1'000'000;
  if (seconds < 3'600) return print("%lld min %02lld s", seconds / 60, seconds % 60);
  return print("%lld h %02lld min", seconds / 3'600, seconds % 3'600 / 60);
}

}  // namespace airlock::base
