#include "config/quantity.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/ascii.h"
#include "model/limits.h"

namespace airlock::config {
namespace {

base::Result<double> parse_decimal(std::string_view text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "\"" + std::string(text) + "\" is not a number");
  }
  return value;
}

struct Unit {
  std::string_view suffix;
  double bytes;
};

constexpr Unit kByteUnits[] = {
    {"Ki", 1024.0},
    {"Mi", 1024.0 * 1024},
    {"Gi", 1024.0 * 1024 * 1024},
    {"Ti", 1024.0 * 1024 * 1024 * 1024},
    {"k", 1e3},
    {"M", 1e6},
    {"G", 1e9},
    {"T", 1e12},
    {"", 1},
};
constexpr double kBytesMax = 1e18;

}  // namespace

base::Result<std::uint32_t> parse_count(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return base::fail(base::ErrorCode::kInvalidArgument, "not a whole number that is small enough");
  }
  return value;
}

base::Result<std::uint32_t> parse_cores(std::string_view text) {
  constexpr double kCoresMax = model::kCpuRatePercentMax / 100.0;
  const auto cores = parse_decimal(text);
  if (!cores || !(*cores >= 0.01) || *cores > kCoresMax) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "not a number of cores between 0.01 and 1024");
  }
  return static_cast<std::uint32_t>(std::lround(*cores * 100));
}

base::Result<bool> parse_switch(std::string_view text) {
  const std::string lower = base::ascii_lower(text);
  constexpr std::array<std::string_view, 4> kOn = {"true", "1", "yes", "on"};
  constexpr std::array<std::string_view, 4> kOff = {"false", "0", "no", "off"};
  if (std::ranges::find(kOn, lower) != kOn.end()) return true;
  if (std::ranges::find(kOff, lower) != kOff.end()) return false;
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "\"" + std::string(text) + "\" is neither true nor false");
}

base::Result<base::ByteCount> parse_kubernetes_bytes(std::string_view text) {
  for (const Unit& unit : kByteUnits) {
    if (!text.ends_with(unit.suffix)) continue;
    const auto number = parse_decimal(text.substr(0, text.size() - unit.suffix.size()));
    if (!number || *number < 0 || *number * unit.bytes > kBytesMax) break;
    return base::ByteCount(static_cast<std::uint64_t>(std::ceil(*number * unit.bytes)));
  }
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "\"" + std::string(text) + "\" is not a quantity of memory",
                    "for example 512Mi or 2Gi");
}

base::Result<std::uint32_t> parse_kubernetes_cores(std::string_view text) {
  const bool milli = text.ends_with('m');
  const auto number = parse_decimal(milli ? text.substr(0, text.size() - 1) : text);
  const double percent = number ? *number * (milli ? 0.1 : 100) : 0;
  if (!number || !(percent >= 1) || percent > model::kCpuRatePercentMax) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "\"" + std::string(text) + "\" is not a quantity of processor cores",
                      "for example 500m or 2");
  }
  return static_cast<std::uint32_t>(std::lround(percent));
}

}  // namespace airlock::config
