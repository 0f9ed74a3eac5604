#include "http/server_timing.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

using std::chrono::microseconds;

TEST(ServerTimingTest, StepsAreInTheirOrderAndInMilliseconds) {
  ServiceTimings timings{.parse = microseconds(21), .run = {}, .answer = microseconds(1'000)};
  timings.run.wait = microseconds(4);
  timings.run.sandbox = microseconds(30);
  timings.run.compile = microseconds(12'345'678);
  timings.run.start = microseconds(1'001);
  timings.run.program = microseconds(100);
  timings.run.report = microseconds(999);
  timings.run.collect = microseconds(10);
  timings.run.close = microseconds(2'050);
  EXPECT_EQ(server_timing(timings),
            "parse;dur=0.021, wait;dur=0.004, sandbox;dur=0.030, compile;dur=12345.678, "
            "start;dur=1.001, program;dur=0.100, report;dur=0.999, collect;dur=0.010, "
            "close;dur=2.050, answer;dur=1.000");
}

TEST(ServerTimingTest, WhatDidNotTakePlaceIsLeftOut) {
  ServiceTimings timings;
  EXPECT_EQ(server_timing(timings), "");
  timings.run.program = std::chrono::nanoseconds(1);
  EXPECT_EQ(server_timing(timings), "program;dur=0.000");
}

TEST(ServerTimingTest, AClockThatWentBackIsNothing) {
  EXPECT_EQ(server_timing({.parse = microseconds(-5), .run = {}, .answer = {}}), "parse;dur=0.000");
}

}  // namespace
}  // namespace airlock::http
