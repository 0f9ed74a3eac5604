#include "client/wire_time.h"

#include <gtest/gtest.h>

namespace airlock::client {
namespace {

using std::chrono::microseconds;

TEST(WireTimeTest, TimesOfTheRoutesAreRead) {
  const auto time = parse_wire_time("1970-01-02T00:00:01.000002");
  ASSERT_TRUE(time);
  EXPECT_EQ(time->time_since_epoch(), microseconds(86'401'000'002));
  EXPECT_EQ(parse_wire_time("1970-01-01T00:00:01.5")->time_since_epoch(), microseconds(1'500'000));
  EXPECT_EQ(parse_wire_time("1970-01-01T00:00:01")->time_since_epoch(), microseconds(1'000'000));
}

TEST(WireTimeTest, AnythingElseIsNothing) {
  for (const char* const text :
       {"", "now", "1970-01-01", "1970-13-01T00:00:00", "1970-02-30T00:00:00",
        "1970-01-01T24:00:00", "1970-01-01T00:60:00", "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.", "1970-01-01T00:00:00.1234567", "1970-01-01 00:00:00",
        "-970-01-01T00:00:00", "1970-01-01T00:00:00.12x"}) {
    EXPECT_FALSE(parse_wire_time(text)) << text;
  }
}

}  // namespace
}  // namespace airlock::client
