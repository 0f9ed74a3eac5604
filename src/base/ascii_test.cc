#include "base/ascii.h"

#include <gtest/gtest.h>

namespace airlock::base {
namespace {

TEST(AsciiTest, OnlyLettersOfAsciiChangeTheirCase) {
  EXPECT_EQ(ascii_lower("AZ az @[`{ 09"), "az az @[`{ 09");
  EXPECT_EQ(ascii_lower("\xc3\x84"), "\xc3\x84");  // A with two dots, and half of it in Latin-1
  EXPECT_EQ(ascii_lower(""), "");
}

TEST(AsciiTest, EqualMeansEveryByteAndTheLength) {
  EXPECT_TRUE(equal_ignoring_case("Content-Length", "content-LENGTH"));
  EXPECT_FALSE(equal_ignoring_case("content-length", "content_length"));
  EXPECT_FALSE(equal_ignoring_case("content", "content-length"));
  EXPECT_FALSE(equal_ignoring_case("[", "{"));  // 32 apart, as letters are
}

TEST(AsciiTest, BlanksGoFromTheEndsOnly) {
  EXPECT_EQ(trimmed(" \t a b\r\n"), "a b");
  EXPECT_EQ(trimmed("a"), "a");
  EXPECT_EQ(trimmed(" \r\n"), "");
  EXPECT_EQ(trimmed(""), "");
  EXPECT_EQ(trimmed("\ra ", " "), "\ra");
}

}  // namespace
}  // namespace airlock::base
