#include "language/nearest_name.h"

#include <gtest/gtest.h>

#include <vector>

namespace airlock::language {
namespace {

const std::vector<std::string> kNames = {"python", "perl", "php", "go", "c", "c++", "javascript"};

TEST(NearestNameTest, FindsWhatWasMeant) {
  EXPECT_EQ(find_nearest_name("pyhton", kNames), "python");
  EXPECT_EQ(find_nearest_name("pythn", kNames), "python");
  EXPECT_EQ(find_nearest_name("javascrpit", kNames), "javascript");
  EXPECT_EQ(find_nearest_name("prel", kNames), "perl");
}

TEST(NearestNameTest, GivesNothingWhenNothingIsClose) {
  EXPECT_EQ(find_nearest_name("", kNames), std::nullopt);
  EXPECT_EQ(find_nearest_name("haskell", kNames), std::nullopt);
  EXPECT_EQ(find_nearest_name("x", kNames),
            std::nullopt);  // one edit away from "c", and from everything
  EXPECT_EQ(find_nearest_name(std::string(10'000, 'p'), kNames), std::nullopt);
}

TEST(NearestNameTest, HintIsASentenceOrNothing) {
  EXPECT_EQ(did_you_mean("pyhton", kNames), "; did you mean \"python\"?");
  EXPECT_EQ(did_you_mean("cobol", kNames), "");
}

}  // namespace
}  // namespace airlock::language
