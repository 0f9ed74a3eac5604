#include "container/image_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace airlock::container {
namespace {

using testing::ElementsAre;

std::vector<std::string> merge(const std::vector<std::string>& image,
                               const std::vector<std::string>& given) {
  std::string bytes;
  for (const std::string& entry : given) bytes += entry + '\0';
  return merge_environment(image,
                           {bytes.data(), bytes.size(), static_cast<std::uint32_t>(given.size())});
}

TEST(ImageEnvironmentTest, WhatAProgramIsGivenStandsAndTheRestIsAdded) {
  EXPECT_THAT(merge({"LANG=C", "JAVA_HOME=/opt/java"}, {"LANG=de", "A=1"}),
              ElementsAre("LANG=de", "A=1", "JAVA_HOME=/opt/java"));
  EXPECT_THAT(merge({}, {"A=1"}), ElementsAre("A=1"));
  EXPECT_THAT(merge({"A=1"}, {}), ElementsAre("A=1"));
}

TEST(ImageEnvironmentTest, TheImagesFoldersComeBeforeTheUsualAndAfterTheCallers) {
  EXPECT_THAT(merge({"PATH=/opt/conda/bin:/usr/bin:/bin"},
                    {"PATH=/build/bin:/usr/local/bin:/usr/bin:/bin"}),
              ElementsAre("PATH=/build/bin:/opt/conda/bin:/usr/bin:/bin:/usr/local/bin"));
  EXPECT_THAT(merge({"PATH=/opt/bin"}, {"A=1"}), ElementsAre("A=1", "PATH=/opt/bin"));
  EXPECT_THAT(merge({"PATH="}, {"PATH=/bin"}), ElementsAre("PATH=/bin"));
  EXPECT_THAT(merge({"PATH=/x"}, {"PATH=/mine"}), ElementsAre("PATH=/mine:/x"));
}

TEST(ImageEnvironmentTest, WhatIsNoVariableIsLeftOut) {
  EXPECT_THAT(merge({"", "=", "=x", "NAME", std::string("A=\0b", 4), "B="}, {"C=1"}),
              ElementsAre("C=1", "B="));
}

}  // namespace
}  // namespace airlock::container
