#include "http/run_limits.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>

namespace airlock::http {
namespace {

constexpr double kCoresMin = 0.01;

std::int64_t as_integer(std::chrono::milliseconds value) { return value.count(); }
std::int64_t as_integer(base::ByteCount value) { return static_cast<std::int64_t>(value.count()); }
std::int64_t as_integer(std::uint32_t value) { return value; }

template <typename T>
T from_integer(std::int64_t value) {
  if constexpr (std::is_same_v<T, base::ByteCount>) {
    return base::ByteCount(static_cast<std::uint64_t>(value));
  } else {
    return T(value);
  }
}

template <typename T>
struct Bounds {
  T lowest;
  T highest;
};

template <typename T>
ApiResult<std::optional<T>> read(const JsonObject& limits, std::string_view key, Bounds<T> bounds) {
  AIRLOCK_ASSIGN(const std::optional<std::int64_t> number,
                 limits.integer(key, {as_integer(bounds.lowest), as_integer(bounds.highest)}));
  if (!number) return std::nullopt;
  return from_integer<T>(*number);
}

std::string cores_text(double cores) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", cores);
  return text;
}

ApiResult<std::optional<std::uint32_t>> read_cores(const JsonObject& limits,
                                                   const RunLimitsPolicy& policy) {
  AIRLOCK_ASSIGN(const std::optional<double> cores, limits.number("cpus"));
  if (!cores) return std::nullopt;
  const std::uint32_t percent_max = policy.limits_max.cpu_rate_percent == 0
                                        ? model::kCpuRatePercentMax
                                        : policy.limits_max.cpu_rate_percent;
  const double highest = percent_max / 100.0;
  if (*cores < kCoresMin || *cores > highest) {
    return refuse_field("limits.cpus", "is " + cores_text(*cores) +
                                           "; it must be a number of cores between 0.01 and " +
                                           cores_text(highest));
  }
  return static_cast<std::uint32_t>(std::lround(*cores * 100));
}

template <typename T>
void cap(std::optional<T>& given, T planned, std::optional<T> highest) {
  if (highest && planned > *highest) given = highest;
}

}  // namespace

base::Status validate(const RunLimitsPolicy& policy) {
  constexpr base::ByteCount kBodyMin = base::kibibytes(1);
  constexpr base::ByteCount kBodyMax = base::gibibytes(1);
  AIRLOCK_TRY(model::validate(policy.limits_max).with_context("the largest limits of a run"));
  AIRLOCK_TRY(model::validate(policy.defaults).with_context("the usual limits of a run"));
  if (policy.body_bytes_max >= kBodyMin && policy.body_bytes_max <= kBodyMax) return {};
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "the largest body is " + base::format_byte_count(policy.body_bytes_max) +
                        "; it must be between " + base::format_byte_count(kBodyMin) + " and " +
                        base::format_byte_count(kBodyMax));
}

ApiResult<model::LimitsGiven> read_limits(const JsonObject& request,
                                          const RunLimitsPolicy& policy) {
  model::LimitsGiven given;
  AIRLOCK_ASSIGN(std::optional<JsonObject> object, request.object("limits"));
  if (!object) return given;
  JsonObject& limits = *object;
  AIRLOCK_TRY(limits.only({"wall_ms", "cpu_ms", "memory_bytes", "pids", "output_bytes",
                           "disk_bytes", "files", "cpus"}));
  const model::Limits& max = policy.limits_max;
  using model::kTimeMin;
  AIRLOCK_ASSIGN(given.wall_time, read(limits, "wall_ms", Bounds{kTimeMin, max.wall_time}));
  AIRLOCK_ASSIGN(given.cpu_time, read(limits, "cpu_ms", Bounds{kTimeMin, max.cpu_time}));
  AIRLOCK_ASSIGN(given.memory, read(limits, "memory_bytes", Bounds{model::kMemoryMin, max.memory}));
  AIRLOCK_ASSIGN(given.pids, read(limits, "pids", Bounds{model::kPidsMin, max.pids}));
  AIRLOCK_ASSIGN(given.output,
                 read(limits, "output_bytes", Bounds{base::ByteCount(0), max.output}));
  AIRLOCK_ASSIGN(given.disk, read(limits, "disk_bytes", Bounds{model::kDiskMin, max.disk}));
  AIRLOCK_ASSIGN(given.inodes, read(limits, "files", Bounds{model::kInodesMin, max.inodes}));
  AIRLOCK_ASSIGN(given.cpu_rate_percent, read_cores(limits, policy));
  return given;
}

model::LimitsGiven capped(const model::Limits& planned, const model::LimitsGiven& given,
                          const RunLimitsPolicy& policy) {
  const model::Limits& max = policy.limits_max;
  model::LimitsGiven maxima = {.wall_time = max.wall_time,
                               .cpu_time = max.cpu_time,
                               .memory = max.memory,
                               .pids = max.pids,
                               .cpu_rate_percent = {},
                               .output = max.output,
                               .disk = max.disk,
                               .inodes = max.inodes,
                               .open_files = max.open_files};
  if (max.cpu_rate_percent != 0) maxima.cpu_rate_percent = max.cpu_rate_percent;
  return capped_by(maxima, planned, given);
}

model::LimitsGiven capped_by(const model::LimitsGiven& maxima, const model::Limits& planned,
                             const model::LimitsGiven& given) {
  // 0 is "not limited".
  constexpr std::uint32_t kAny = std::numeric_limits<std::uint32_t>::max();
  const std::uint32_t rate = planned.cpu_rate_percent == 0 ? kAny : planned.cpu_rate_percent;
  model::LimitsGiven result = given;
  cap(result.wall_time, planned.wall_time, maxima.wall_time);
  cap(result.cpu_time, planned.cpu_time, maxima.cpu_time);
  cap(result.memory, planned.memory, maxima.memory);
  cap(result.pids, planned.pids, maxima.pids);
  cap(result.cpu_rate_percent, rate, maxima.cpu_rate_percent);
  cap(result.output, planned.output, maxima.output);
  cap(result.disk, planned.disk, maxima.disk);
  cap(result.inodes, planned.inodes, maxima.inodes);
  cap(result.open_files, planned.open_files, maxima.open_files);
  return result;
}

}  // namespace airlock::http
