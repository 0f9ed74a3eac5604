#include "base/clock.h"

#include <gtest/gtest.h>

namespace airlock::base {
namespace {

using std::chrono::seconds;

TEST(ClockTest, ManualClockStandsStillUntilItIsAdvanced) {
  ManualClock clock;
  const auto steady = clock.steady_now();
  const auto wall = clock.wall_now();
  EXPECT_EQ(clock.steady_now(), steady);
  clock.advance(seconds(5));
  EXPECT_EQ(clock.steady_now() - steady, seconds(5));
  EXPECT_EQ(clock.wall_now() - wall, seconds(5));
}

TEST(ClockTest, SystemClockNeverGoesBack) {
  const SystemClock clock;
  const auto first = clock.steady_now();
  EXPECT_LE(first, clock.steady_now());
  EXPECT_GT(clock.wall_now().time_since_epoch(), seconds(0));
}

}  // namespace
}  // namespace airlock::base
