#include "http/query.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

TEST(QueryTest, IsReadByName) {
  EXPECT_EQ(query_value("a=1&phase=pr%65p&b", "phase"), "prep");
  EXPECT_EQ(query_value("text=a+b", "text"), "a b");
  EXPECT_EQ(query_value("b", "b"), "");
  EXPECT_EQ(query_value("xphase=1", "phase"), std::nullopt);
  EXPECT_EQ(query_value("phase=%zz", "phase"), std::nullopt);
  EXPECT_EQ(query_value("", "phase"), std::nullopt);
}

TEST(QueryTest, NumbersHaveABound) {
  EXPECT_EQ(query_number("lines=7", "lines", 100, 10).value(), 7u);
  EXPECT_EQ(query_number("", "lines", 100, 10).value(), 100u);
  for (const char* query :
       {"lines=11", "lines=-1", "lines=1x", "lines=", "lines=99999999999999999999"}) {
    const auto refused = query_number(query, "lines", 100, 10);
    ASSERT_FALSE(refused.has_value()) << query;
    EXPECT_EQ(refused.error().field, "lines");
  }
}

TEST(QueryTest, AFlagIsSetUnlessItSaysNo) {
  EXPECT_TRUE(query_flag("follow", "follow"));
  EXPECT_TRUE(query_flag("follow=1", "follow"));
  EXPECT_FALSE(query_flag("follow=0", "follow"));
  EXPECT_FALSE(query_flag("follow=false", "follow"));
  EXPECT_FALSE(query_flag("", "follow"));
}

}  // namespace
}  // namespace airlock::http
