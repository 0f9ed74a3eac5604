#include "model/limits.h"

#include <string>
#include <string_view>

namespace airlock::model {
namespace {

std::string text_of(std::chrono::milliseconds value) { return base::format_duration(value); }
std::string text_of(base::ByteCount value) { return base::format_byte_count(value); }
std::string text_of(std::uint32_t value) { return std::to_string(value); }

template <typename T>
struct Range {
  T lowest;
  T highest;
};

template <typename T>
base::Status check_range(std::string_view field, T value, Range<T> range) {
  if (value >= range.lowest && value <= range.highest) return {};
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "limit " + std::string(field) + " is " + text_of(value) +
                        "; it must be between " + text_of(range.lowest) + " and " +
                        text_of(range.highest));
}

}  // namespace

base::Status validate(const Limits& limits) {
  constexpr Range<std::chrono::milliseconds> kTimes{kTimeMin, kWallTimeMax};
  constexpr Range<base::ByteCount> kOutputs{base::ByteCount(0), kOutputMax};
  constexpr Range<std::uint32_t> kCpuRates{0, kCpuRatePercentMax};
  AIRLOCK_TRY(check_range("wall_time", limits.wall_time, kTimes));
  AIRLOCK_TRY(check_range("cpu_time", limits.cpu_time, kTimes));
  AIRLOCK_TRY(check_range("memory", limits.memory, Range(kMemoryMin, kMemoryMax)));
  AIRLOCK_TRY(check_range("pids", limits.pids, Range(kPidsMin, kPidsMax)));
  AIRLOCK_TRY(check_range("cpu_rate_percent", limits.cpu_rate_percent, kCpuRates));
  AIRLOCK_TRY(check_range("output", limits.output, kOutputs));
  AIRLOCK_TRY(check_range("disk", limits.disk, Range(kDiskMin, kDiskMax)));
  AIRLOCK_TRY(check_range("inodes", limits.inodes, Range(kInodesMin, kInodesMax)));
  AIRLOCK_TRY(check_range("open_files", limits.open_files, Range(kOpenFilesMin, kOpenFilesMax)));
  return {};
}

}  // namespace airlock::model
