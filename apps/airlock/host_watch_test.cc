#include "apps/airlock/host_watch.h"

#include <gtest/gtest.h>

namespace airlock::apps {
namespace {

TEST(HostWatch, ProcessorsAreBusyWithEverythingButIdlingAndWaiting) {
  const auto times = parse_cpu_times(
      "cpu  100 20 30 1000 50 6 7 8 90 10\n"
      "cpu0 1 1 1 1 1 1 1 1 1 1\n");
  ASSERT_TRUE(times);
  EXPECT_EQ(times->busy, 100u + 20 + 30 + 6 + 7 + 8);  // guests are in the first two
  EXPECT_EQ(times->all, times->busy + 1000 + 50);
  EXPECT_FALSE(parse_cpu_times(""));
  EXPECT_FALSE(parse_cpu_times("cpu 1 2 x 4 5 6 7 8"));
  EXPECT_FALSE(parse_cpu_times("intr 1 2 3 4 5 6 7 8"));
}

TEST(HostWatch, AProgramsNameDoesNotMoveItsFields) {
  const auto times = parse_process_times(
      "17 (a) 9 b) S 1 17 17 0 -1 4194560 200 0 0 0 31 11 0 0 20 0 1 0 4242 1000 99");
  ASSERT_TRUE(times);
  EXPECT_EQ(times->cpu_ticks, 42u);
  EXPECT_EQ(times->start_ticks, 4242u);
  EXPECT_FALSE(parse_process_times("17 (a) S 1 17"));
}

TEST(HostWatch, ReadsThisMachine) {
  base::ManualClock clock;
  HostWatch watch({"/", "/", "/nowhere/at/all"}, clock);
  const telemetry::HostReading reading = watch.read();
  ASSERT_TRUE(reading.memory_used_bytes);
  ASSERT_TRUE(reading.memory_total_bytes);
  EXPECT_LT(*reading.memory_used_bytes, *reading.memory_total_bytes);
  ASSERT_EQ(reading.disks.size(), 1u);
  EXPECT_EQ(reading.disks[0].mount, "/");
  EXPECT_LE(reading.disks[0].used_bytes, reading.disks[0].total_bytes);
  ASSERT_TRUE(reading.resident_bytes);
  EXPECT_GT(*reading.resident_bytes, 100'000u);
  EXPECT_TRUE(reading.cpu_seconds);
  ASSERT_TRUE(reading.start_time_seconds);
  EXPECT_GT(*reading.start_time_seconds, 1.6e9);
}

TEST(HostWatch, TwoWhoAskAtOnceAreToldTheSame) {
  base::ManualClock clock;
  HostWatch watch({}, clock);
  // Until the kernel's counters, of hundredths of a second, have moved.
  std::optional<double> first;
  while (!first) first = watch.read().cpu_usage_percent;
  EXPECT_GE(*first, 0);
  EXPECT_LE(*first, 100);
  EXPECT_EQ(watch.read().cpu_usage_percent, first);
}

}  // namespace
}  // namespace airlock::apps
