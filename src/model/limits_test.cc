#include "model/limits.h"

#include <gtest/gtest.h>

#include <string>

namespace airlock::model {
namespace {

std::string error_of(const Limits& limits) {
  const base::Status status = validate(limits);
  return status.has_value() ? "" : status.error().message;
}

// A field at both ends of its range is fine, and one step beyond either is refused by name.
template <typename T>
void expect_range(const std::string& name, T Limits::* field, T lowest, T highest, T step) {
  const auto with = [field](T value) {
    Limits limits;
    limits.*field = value;
    return error_of(limits);
  };
  EXPECT_EQ(with(lowest), "");
  EXPECT_EQ(with(highest), "");
  EXPECT_TRUE(with(static_cast<T>(highest + step)).starts_with("limit " + name + " is ")) << name;
  if (lowest > T{}) {
    EXPECT_TRUE(with(static_cast<T>(lowest - step)).starts_with("limit " + name + " is ")) << name;
  }
}

void expect_byte_range(const std::string& name, base::ByteCount Limits::* field,
                       base::ByteCount lowest, base::ByteCount highest) {
  const auto with = [field](std::uint64_t bytes) {
    Limits limits;
    limits.*field = base::ByteCount(bytes);
    return error_of(limits);
  };
  EXPECT_EQ(with(lowest.count()), "");
  EXPECT_EQ(with(highest.count()), "");
  EXPECT_TRUE(with(highest.count() + 1).starts_with("limit " + name + " is ")) << name;
  if (lowest.count() > 0) {
    EXPECT_TRUE(with(lowest.count() - 1).starts_with("limit " + name + " is ")) << name;
  }
}

TEST(LimitsTest, TheDefaultsAreValid) { EXPECT_EQ(error_of(Limits{}), ""); }

TEST(LimitsTest, TimesHaveARange) {
  const std::chrono::milliseconds step(1);
  expect_range("wall_time", &Limits::wall_time, kTimeMin, kWallTimeMax, step);
  expect_range("cpu_time", &Limits::cpu_time, kTimeMin, kWallTimeMax, step);
}

TEST(LimitsTest, CountsHaveARange) {
  const std::uint32_t step = 1;
  expect_range("pids", &Limits::pids, kPidsMin, kPidsMax, step);
  expect_range("cpu_rate_percent", &Limits::cpu_rate_percent, 0u, kCpuRatePercentMax, step);
  expect_range("inodes", &Limits::inodes, kInodesMin, kInodesMax, step);
  expect_range("open_files", &Limits::open_files, kOpenFilesMin, kOpenFilesMax, step);
}

TEST(LimitsTest, SizesHaveARange) {
  expect_byte_range("memory", &Limits::memory, kMemoryMin, kMemoryMax);
  expect_byte_range("output", &Limits::output, base::ByteCount(0), kOutputMax);
  expect_byte_range("disk", &Limits::disk, kDiskMin, kDiskMax);
}

TEST(LimitsTest, AnErrorNamesFieldValueAndRange) {
  Limits limits;
  limits.memory = base::mebibytes(1);
  EXPECT_EQ(error_of(limits), "limit memory is 1 MiB; it must be between 4 MiB and 4 TiB");
  limits = Limits{};
  limits.pids = 0;
  EXPECT_EQ(error_of(limits), "limit pids is 0; it must be between 1 and 65536");
  limits = Limits{};
  limits.wall_time = std::chrono::milliseconds(0);
  EXPECT_EQ(error_of(limits),
            "limit wall_time is 0.0 ms; it must be between 1.0 ms and 72 h 00 min");
}

}  // namespace
}  // namespace airlock::model
