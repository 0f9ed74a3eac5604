#include "jail/path_rules.h"

#include <gtest/gtest.h>

#include <string>

namespace airlock::jail {
namespace {

TEST(PathRulesTest, PlainRelativePathsAreSafe) {
  for (const char* path : {"a", "a/b.c", "...", "a/..b", ".hidden", "-rf", "ünï/ö", "a b"}) {
    EXPECT_TRUE(is_safe_path(path)) << path;
  }
}

TEST(PathRulesTest, WhateverCouldLeaveOrConfuseIsNot) {
  for (const char* path :
       {"", "/", "/a", "..", "a/..", "../a", "a/../b", ".", "a/.", "./a", "a//b", "a/"}) {
    EXPECT_FALSE(is_safe_path(path)) << path;
  }
  EXPECT_FALSE(is_safe_path(std::string_view("a\0b", 3)));
}

TEST(PathRulesTest, LimitsAreInclusive) {
  EXPECT_TRUE(is_safe_path(std::string(kNameBytesMax, 'n')));
  EXPECT_FALSE(is_safe_path(std::string(kNameBytesMax + 1, 'n')));
  std::string deep = "d";
  for (std::uint32_t i = 1; i < kGuestPathDepthMax; ++i) deep += "/d";
  EXPECT_TRUE(is_safe_path(deep));
  EXPECT_FALSE(is_safe_path(deep + "/d"));
}

TEST(PathRulesTest, PrintableMeansWellFormedAndWithoutControls) {
  EXPECT_TRUE(is_printable_utf8("plain ünï 漢字 🙂"));
  for (const char* text : {"a\nb", "\x1b[31m", "\x7f",
                           "\xc2\x9b"
                           "31m",
                           "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x80\xae", "\xe2\x81\xa6",
                           "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_FALSE(is_printable_utf8(text));
  }
}

TEST(GlobTest, StarStaysWithinAPart) {
  EXPECT_TRUE(matches_glob("*.png", "a.png"));
  EXPECT_FALSE(matches_glob("*.png", "a/b.png"));
  EXPECT_TRUE(matches_glob("*/b.png", "a/b.png"));
  EXPECT_TRUE(matches_glob("a*c*e", "abcde"));
  EXPECT_FALSE(matches_glob("a*c*e", "abcd"));
  EXPECT_TRUE(matches_glob("*", "anything"));
}

TEST(GlobTest, QuestionMarkIsOneCharacterButNoSlash) {
  EXPECT_TRUE(matches_glob("a?c", "abc"));
  EXPECT_FALSE(matches_glob("a?c", "a/c"));
  EXPECT_FALSE(matches_glob("a?", "a"));
}

TEST(GlobTest, TwoStarsCrossParts) {
  EXPECT_TRUE(matches_glob("**", "a/b/c"));
  EXPECT_TRUE(matches_glob("**/c", "a/b/c"));
  EXPECT_TRUE(matches_glob("**/c", "c"));
  EXPECT_TRUE(matches_glob("a/**/d", "a/b/c/d"));
  EXPECT_FALSE(matches_glob("a/**/d", "a/b/c/e"));
}

TEST(GlobTest, ABackslashQuotes) {
  EXPECT_TRUE(matches_glob("a\\*b", "a*b"));
  EXPECT_FALSE(matches_glob("a\\*b", "axb"));
}

TEST(GlobTest, AHostilePatternEnds) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "**/*a";
  EXPECT_FALSE(matches_glob(pattern, std::string(1000, 'a') + "b"));
}

}  // namespace
}  // namespace airlock::jail
