#include "base/units.h"

#include <gtest/gtest.h>

#include <limits>

namespace airlock::base {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t kBytesMax = std::numeric_limits<std::uint64_t>::max();

std::uint64_t bytes_of(std::string_view text) {
  const Result<ByteCount> parsed = parse_byte_count(text);
  EXPECT_TRUE(parsed.has_value()) << text << ": " << parsed.error().message;
  return parsed.has_value() ? parsed->count() : 0;
}

milliseconds duration_of(std::string_view text) {
  const Result<milliseconds> parsed = parse_duration(text);
  EXPECT_TRUE(parsed.has_value()) << text << ": " << parsed.error().message;
  return parsed.has_value() ? *parsed : milliseconds(-1);
}

TEST(ByteCountTest, UnitsArePowersOf1024InAnyCase) {
  EXPECT_EQ(bytes_of("4096"), 4096u);
  EXPECT_EQ(bytes_of("17b"), 17u);
  EXPECT_EQ(bytes_of("64k"), 64u << 10);
  EXPECT_EQ(bytes_of("64KB"), 64u << 10);
  EXPECT_EQ(bytes_of("512m"), 512u << 20);
  EXPECT_EQ(bytes_of("512MiB"), 512u << 20);
  EXPECT_EQ(bytes_of("2g"), std::uint64_t{2} << 30);
  EXPECT_EQ(bytes_of("1.5G"), std::uint64_t{3} << 29);
  EXPECT_EQ(bytes_of("3t"), std::uint64_t{3} << 40);
  EXPECT_EQ(bytes_of("0"), 0u);
}

TEST(ByteCountTest, FractionsAreRoundedDownToAByte) { EXPECT_EQ(bytes_of("0.3k"), 307u); }

TEST(ByteCountTest, TheLargestCountIsReadAndOneMoreIsNot) {
  EXPECT_EQ(bytes_of("18446744073709551615"), kBytesMax);
  EXPECT_FALSE(parse_byte_count("18446744073709551616").has_value());
  EXPECT_EQ(bytes_of("16777215t"), std::uint64_t{16'777'215} << 40);
  EXPECT_FALSE(parse_byte_count("16777216t").has_value());
  EXPECT_FALSE(parse_byte_count("99999999999999999999t").has_value());
  EXPECT_FALSE(parse_byte_count("99999999999999999999.999999999t").has_value());
}

TEST(ByteCountTest, WhatIsNotASizeIsRefused) {
  for (const std::string_view text :
       {"", "k", "-1", "+1", " 1", "1 k", "1x", "1kk", "1.k", ".5k", "1.5", "0x10", "1e3", "1,5k",
        "1ib", "nan", "999999999999999999999", "1.0000000001k"}) {
    EXPECT_FALSE(parse_byte_count(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_byte_count(std::string_view("1\0k", 3)).has_value());
}

TEST(ByteCountTest, AnErrorNamesTheTextTheReasonAndAnExample) {
  const Error error = parse_byte_count("12q").error();
  EXPECT_EQ(error.message, "\"12q\" is not a size: unknown unit \"q\"");
  EXPECT_NE(error.hint.find("512m"), std::string::npos);
}

TEST(DurationTest, UnitsAreReadAndABareNumberIsSeconds) {
  EXPECT_EQ(duration_of("500ms"), milliseconds(500));
  EXPECT_EQ(duration_of("2s"), seconds(2));
  EXPECT_EQ(duration_of("1.5s"), milliseconds(1500));
  EXPECT_EQ(duration_of("10"), seconds(10));
  EXPECT_EQ(duration_of("0.25"), milliseconds(250));
  EXPECT_EQ(duration_of("3m"), minutes(3));
  EXPECT_EQ(duration_of("3min"), minutes(3));
  EXPECT_EQ(duration_of("1.5h"), minutes(90));
  EXPECT_EQ(duration_of("0s"), seconds(0));
}

TEST(DurationTest, ThirtyDaysAreTheMost) {
  EXPECT_EQ(duration_of("720h"), hours(720));
  EXPECT_FALSE(parse_duration("720.001h").has_value());
  EXPECT_FALSE(parse_duration("99999999999999999999h").has_value());
}

TEST(DurationTest, WhatIsNotADurationIsRefused) {
  for (const std::string_view text :
       {"", "s", "-1s", "1 s", "1d", "1S", "0.5ms", "1.2345s", "1us", "infinity", "1:30"}) {
    EXPECT_FALSE(parse_duration(text).has_value()) << text;
  }
  EXPECT_EQ(parse_duration("0.5ms").error().message,
            "\"0.5ms\" is not a duration: it is finer than a millisecond");
}

TEST(FormatTest, BytesHaveAtMostOneDecimal) {
  EXPECT_EQ(format_byte_count(ByteCount(0)), "0 B");
  EXPECT_EQ(format_byte_count(ByteCount(17)), "17 B");
  EXPECT_EQ(format_byte_count(ByteCount(1023)), "1023 B");
  EXPECT_EQ(format_byte_count(kibibytes(1)), "1 KiB");
  EXPECT_EQ(format_byte_count(mebibytes(512)), "512 MiB");
  EXPECT_EQ(format_byte_count(ByteCount(std::uint64_t{3} << 29)), "1.5 GiB");
  EXPECT_EQ(format_byte_count(ByteCount(kBytesMax)), "16 EiB");
}

TEST(FormatTest, BytesRoundedUpToTheNextUnitUseIt) {
  EXPECT_EQ(format_byte_count(ByteCount((1u << 20) - 1)), "1 MiB");
  EXPECT_EQ(format_byte_count(ByteCount((1u << 20) - 100)), "1023.9 KiB");
}

TEST(FormatTest, DurationsFitTheirSize) {
  EXPECT_EQ(format_duration(microseconds(0)), "0.0 ms");
  EXPECT_EQ(format_duration(microseconds(12'345)), "12.3 ms");
  EXPECT_EQ(format_duration(milliseconds(1500)), "1.50 s");
  EXPECT_EQ(format_duration(seconds(125)), "2 min 05 s");
  EXPECT_EQ(format_duration(hours(72)), "72 h 00 min");
  EXPECT_EQ(format_duration(milliseconds(-1500)), "-1.50 s");
}

TEST(FormatTest, DurationsRoundedUpToTheNextUnitUseIt) {
  EXPECT_EQ(format_duration(microseconds(999'949)), "999.9 ms");
  EXPECT_EQ(format_duration(microseconds(999'950)), "1.00 s");
  EXPECT_EQ(format_duration(microseconds(59'994'999)), "59.99 s");
  EXPECT_EQ(format_duration(microseconds(59'995'000)), "1 min 00 s");
}

}  // namespace
}  // namespace airlock::base
