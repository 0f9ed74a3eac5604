#include "apps/airlock/loader_words.h"

#include <gtest/gtest.h>

namespace airlock::apps {
namespace {

TEST(LoaderWordsTest, AMissingLibraryIsNamedWithTheWayToBringIt) {
  const std::string text = explain_loader(
      "/workspace/a.out: error while loading shared libraries: libx.so.1: cannot open shared "
      "object file: No such file or directory\n");
  EXPECT_NE(text.find("library libx.so.1 inside the sandbox"), std::string::npos) << text;
  EXPECT_NE(text.find("--file libx.so.1"), std::string::npos) << text;
}

TEST(LoaderWordsTest, WhatIsNotTheLoadersIsLeftAlone) {
  EXPECT_EQ(explain_loader(""), "");
  EXPECT_EQ(explain_loader("sh: 1: x: not found\n"), "");
  EXPECT_EQ(explain_loader("later\nx: error while loading shared libraries: y: z\n"), "");
}

}  // namespace
}  // namespace airlock::apps
