#include "runner/input_path.h"

#include <gtest/gtest.h>

namespace airlock::runner {
namespace {

TEST(InputPathTest, OrdinaryPathsAreAccepted) {
  for (const char* path :
       {"a", "a.csv", "data/a.csv", "..a", "a..", "...", ".hidden", "a b", "é"}) {
    EXPECT_TRUE(check_input_path(path)) << path;
  }
}

TEST(InputPathTest, PathsThatLeadElsewhereAreRefused) {
  for (const char* path : {"", "/", "/a", "..", "../a", "a/..", "a/../b", ".", "./a", "a/./b",
                           "a//b", "a/", "a\nb", "a\x1b[m", "\x7f"}) {
    EXPECT_FALSE(check_input_path(path)) << path;
  }
  EXPECT_FALSE(check_input_path(std::string_view("a\0b", 3)));
}

TEST(InputPathTest, LengthAndDepthAreBounded) {
  EXPECT_TRUE(check_input_path(std::string(kInputNameBytesMax, 'a')));
  EXPECT_FALSE(check_input_path(std::string(kInputNameBytesMax + 1, 'a')));
  std::string longest;
  while (longest.size() < kInputPathBytesMax - 100) longest += std::string(99, 'a') + "/";
  longest.resize(kInputPathBytesMax, 'a');
  EXPECT_TRUE(check_input_path(longest));
  EXPECT_FALSE(check_input_path(longest + "a"));
  std::string deep = "a";
  for (std::uint32_t depth = 1; depth < kInputPathDepthMax; ++depth) deep += "/a";
  EXPECT_TRUE(check_input_path(deep));
  EXPECT_FALSE(check_input_path(deep + "/a"));
}

TEST(InputPathTest, TwoFilesCannotShareAPlace) {
  InputPaths paths;
  EXPECT_TRUE(paths.add("data/a"));
  EXPECT_TRUE(paths.add("data/b"));
  EXPECT_FALSE(paths.add("data/a"));
  EXPECT_FALSE(paths.add("data"));
  EXPECT_FALSE(paths.add("data/b/c"));
}

}  // namespace
}  // namespace airlock::runner
