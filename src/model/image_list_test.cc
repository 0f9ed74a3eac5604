#include "model/image_list.h"

#include <gtest/gtest.h>

namespace airlock::model {
namespace {

TEST(ImageListTest, OnlyWhatIsInItIsFoundWithOrWithoutTheScheme) {
  const ImageList images({"tools:1", "docker:24", "registry.example/a@sha256:12"});
  EXPECT_EQ(images.find("tools:1").value(), "tools:1");
  EXPECT_EQ(images.find("docker:tools:1").value(), "tools:1");
  EXPECT_EQ(images.find("docker:24").value(), "docker:24");
  EXPECT_EQ(images.find("docker:registry.example/a@sha256:12").value(),
            "registry.example/a@sha256:12");
  for (const char* text : {"", "docker:", "tools", "tools:12", "24", "docker:docker:docker:24"}) {
    EXPECT_FALSE(images.find(text).has_value()) << text;
  }
  EXPECT_EQ(images.find("tools:2").error().message,
            "\"tools:2\" is no image of this server: it has tools:1, docker:24, "
            "registry.example/a@sha256:12");
}

TEST(ImageListTest, WhatCannotBePrintedIsNotRepeated) {
  const ImageList images({"tools:1"});
  for (const std::string& text : {std::string("a\nb"), std::string("\xc3\xa9"),
                                  std::string("a\0b", 3), std::string(101, 'a')}) {
    EXPECT_EQ(images.find(text).error().message, "that is no image of this server: it has tools:1");
  }
}

TEST(ImageListTest, AServerWithoutImagesSaysSo) {
  const auto found = ImageList().find("tools:1");
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().message, "\"tools:1\" is no image of this server, which has none");
  EXPECT_NE(found.error().hint.find("execution.images"), std::string::npos);
}

}  // namespace
}  // namespace airlock::model
