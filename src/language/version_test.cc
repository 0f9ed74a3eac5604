#include "language/version.h"

#include <gtest/gtest.h>

namespace airlock::language {
namespace {

std::string found(std::string_view text) {
  const auto version = Version::find_in(text);
  return version ? version->to_string() : "none";
}

TEST(VersionTest, IsFoundInWhatToolsPrint) {
  EXPECT_EQ(found("Python 3.11.2\n"), "3.11.2");
  EXPECT_EQ(found("v20.20.2\n"), "20.20.2");
  EXPECT_EQ(found("GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)"), "5.2.15");
  EXPECT_EQ(found("go version go1.19.8 linux/amd64"), "1.19.8");
  EXPECT_EQ(found("ruby 3.1.2p20 (2022-04-12 revision 4491bb740a)"), "3.1.2");
  EXPECT_EQ(found("javac 21"), "21");
  EXPECT_EQ(found("Version 4.8.4"), "4.8.4");
}

TEST(VersionTest, WithoutNumbersThereIsNone) {
  EXPECT_EQ(found(""), "none");
  EXPECT_EQ(found("unknown option"), "none");
  EXPECT_EQ(found("..."), "none");
}

TEST(VersionTest, ANumberWithPointsIsPreferred) {
  EXPECT_EQ(found("Lua 5: release 5.4.4"), "5.4.4");
}

TEST(VersionTest, NumbersThatFitNoVersionArePassedOver) {
  EXPECT_EQ(found("99999999999999999999.1 then 2.3"), "2.3");
  EXPECT_EQ(found("1.2.3.4.5.6.7.8.9.10"), "none");
}

TEST(VersionTest, OrderIsByNumberNotByText) {
  EXPECT_LT(*Version::find_in("22.6"), *Version::find_in("22.10"));
  EXPECT_LT(*Version::find_in("9.9.9"), *Version::find_in("10.0"));
  EXPECT_EQ(*Version::find_in("23.6"), *Version::find_in("23.6.0"));
  EXPECT_GT(*Version::find_in("23.6.1"), *Version::find_in("23.6"));
}

}  // namespace
}  // namespace airlock::language
