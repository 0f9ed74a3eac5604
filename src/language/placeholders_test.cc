#include "language/placeholders.h"

#include <gtest/gtest.h>

namespace airlock::language {
namespace {

const std::vector<PlaceholderValue> kValues = {{"source", "/workspace/{binary}.c"},
                                               {"binary", "/workspace/main"}};

TEST(PlaceholdersTest, ValuesArePutInOnceAndNotLookedAtAgain) {
  EXPECT_EQ(*fill_placeholders("-o{binary} {source}", kValues),
            "-o/workspace/main /workspace/{binary}.c");
}

TEST(PlaceholdersTest, OtherBracesAreText) {
  for (const std::string text :
       {"", "{", "{}", "{ source }", "${X}", "if (a) { b; }", "{source", "{1}", "a{", "{{"}) {
    EXPECT_EQ(*fill_placeholders(text, kValues), text);
  }
  EXPECT_EQ(*fill_placeholders("{{binary}}", kValues), "{/workspace/main}");
}

TEST(PlaceholdersTest, UnknownOnesAreRefusedWithTheNearest) {
  const auto filled = fill_placeholders("{sorce}", kValues);
  ASSERT_FALSE(filled);
  EXPECT_EQ(filled.error().message, "unknown placeholder \"{sorce}\"; did you mean \"{source}\"?");
  EXPECT_EQ(filled.error().hint, "known here: {source} or {binary}");
}

}  // namespace
}  // namespace airlock::language
