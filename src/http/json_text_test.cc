#include "http/json_text.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace airlock::http {
namespace {

TEST(JsonTextTest, NumbersHaveNoExponent) {
  EXPECT_EQ(json_text(boost::json::value(18.504)), "18.504");
  EXPECT_EQ(json_text(boost::json::value(0.001)), "0.001");
  EXPECT_EQ(json_text(boost::json::value(1e15)), "1000000000000000");
  EXPECT_EQ(json_text(boost::json::value(3)), "3");
}

TEST(JsonTextTest, TheRestIsAsBoostWritesIt) {
  const char* text = R"({"a":[1,"x\n\"[{",null,true,{},[]],"b\"":{"c":-5},"d":"[","e":["{","y"]})";
  EXPECT_EQ(json_text(boost::json::parse(text)), text);
  EXPECT_EQ(json_text(boost::json::parse(text)), boost::json::serialize(boost::json::parse(text)));
}

}  // namespace
}  // namespace airlock::http
