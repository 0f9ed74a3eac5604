#include "http/json_reader.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

std::string message_of(std::string_view text) {
  const auto parsed = parse_json(text);
  return parsed ? "" : parsed.error().message;
}

// What reading the member "n" as a whole number from -10 to 1000 gives, or the message.
std::string integer_of(const std::string& number) {
  const auto value = parse_json(R"({"n":)" + number + "}");
  if (!value) return "no JSON";
  const auto object = JsonObject::from(*value, "");
  const auto read = object->integer("n", {-10, 1000});
  if (!read) return read.error().message;
  return *read ? std::to_string(**read) : "absent";
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(ParseJsonTest, OrdinaryTextIsTaken) {
  for (const char* text : {"{}", " [1,2.5,\"x\"] \n", "null", "\"\\u0000\"", "\"\\ud83d\\ude00\"",
                           R"({"a":{"b":1},"b":{"b":2}})", R"([{"a":1},{"a":1}])"}) {
    EXPECT_EQ(message_of(text), "") << text;
  }
}

TEST(ParseJsonTest, WhatIsNoJsonIsRefusedWithItsPlace) {
  for (const char* text : {"", " ", "{", "}", "{\"a\"}", "[1,]", "{\"a\":1,}", "nul", "'a'", "01",
                           "+1", "1.", ".5", "NaN", "Infinity", "// c\n1", "{a:1}", "\"\n\""}) {
    EXPECT_TRUE(message_of(text).starts_with("the body is not JSON: ")) << text;
  }
  EXPECT_EQ(parse_json("{").error().code, "invalid_json");
  EXPECT_EQ(parse_json("{").error().status, 400);
}

TEST(ParseJsonTest, NothingMayFollowTheValue) {
  EXPECT_NE(message_of("{} {}"), "");
  EXPECT_NE(message_of("1 2"), "");
  EXPECT_NE(message_of(std::string_view("{}\0", 3)), "");
}

TEST(ParseJsonTest, AKeyTwiceInOneObjectIsRefusedByName) {
  EXPECT_EQ(message_of(R"({"a":1,"b":2,"a":3})"), "the body has the key \"a\" twice");
  EXPECT_EQ(message_of(R"([{"x":{"k":1,"k":1}}])"), "the body has the key \"k\" twice");
  EXPECT_EQ(message_of("{\"a\":1,\"\\u0061\":2}"), "the body has the key \"a\" twice");
  EXPECT_EQ(message_of(R"({"":1,"":2})"), "the body has the key \"\" twice");
}

TEST(ParseJsonTest, MalformedUtf8AndLoneSurrogatesAreRefused) {
  for (const char* text :
       {"\"\x80\"", "\"\xc3\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
        "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "{\"\xff\":1}", "\xef\xbb\xbf{}"}) {
    EXPECT_NE(message_of(text), "") << text;
  }
}

TEST(ParseJsonTest, DepthIsBounded) {
  EXPECT_EQ(message_of(nested(kJsonDepthMax)), "");
  EXPECT_EQ(message_of(nested(kJsonDepthMax + 1)), "the body is nested deeper than 32");
  EXPECT_EQ(message_of(std::string(1'000'000, '[')), "the body is nested deeper than 32");
}

TEST(ParseJsonTest, TheNumberOfValuesIsBounded) {
  std::string text = "[0";
  for (std::size_t i = 2; i < kJsonValuesMax; ++i) text += ",0";
  EXPECT_EQ(message_of(text + "]"), "");
  EXPECT_EQ(message_of(text + ",0]"), "the body has more than 262144 values");
}

TEST(JsonObjectTest, AnUnknownKeyIsRefusedWithTheNearestOne) {
  const auto value = parse_json(R"({"langauge":"x"})");
  auto object = JsonObject::from(*value, "outer");
  const auto status = object->only({"language", "code"});
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().message,
            "unknown key \"langauge\" in outer; did you mean \"language\"?");
  EXPECT_EQ(status.error().hint, "known keys: language, code");
  EXPECT_EQ(status.error().field, "outer.langauge");
}

TEST(JsonObjectTest, WholeNumbersMayBeWrittenWithAFractionOrAnExponent) {
  EXPECT_EQ(integer_of("7"), "7");
  EXPECT_EQ(integer_of("5.0"), "5");
  EXPECT_EQ(integer_of("1e3"), "1000");
  EXPECT_EQ(integer_of("-1e1"), "-10");
  EXPECT_EQ(integer_of("-0.0"), "0");
  EXPECT_EQ(integer_of("null"), "absent");
}

TEST(JsonObjectTest, FractionsAndWhatIsOutOfRangeAreRefusedWithTheRange) {
  EXPECT_EQ(integer_of("2.5"), "n is 2.5; it must be a whole number between -10 and 1000");
  for (const char* number : {"1001", "-11", "0.1", "1e4", "9223372036854775807",
                             "9223372036854775808", "18446744073709551615", "18446744073709551616",
                             "-9223372036854775809", "1e300", "-1e300", "9007199254740993.0"}) {
    EXPECT_TRUE(integer_of(number).ends_with("it must be a whole number between -10 and 1000"))
        << number << ": " << integer_of(number);
  }
}

TEST(JsonObjectTest, NumbersBeyondEveryDoubleNeverPass) {
  for (const char* number : {"1e400", "-1e999999999", "1e99999999999999999999"}) {
    const std::string read = integer_of(number);
    EXPECT_TRUE(read == "no JSON" || read.ends_with("between -10 and 1000")) << read;
  }
}

TEST(JsonObjectTest, AWrongTypeIsNamedWithItsPlace) {
  const auto value = parse_json(R"({"a":{"t":1,"b":"x","i":"5","o":[],"l":{},"n":true}})");
  const auto root = JsonObject::from(*value, "");
  const auto object = root->object("a");
  ASSERT_TRUE(object.has_value() && object->has_value());
  const JsonObject& a = **object;
  EXPECT_EQ(a.text("t").error().message, "a.t is a number; it must be a string");
  EXPECT_EQ(a.boolean("b").error().message, "a.b is a string; it must be true or false");
  EXPECT_EQ(a.integer("i", {1, 2}).error().message,
            "a.i is a string; it must be a whole number between 1 and 2");
  EXPECT_EQ(a.object("o").error().message, "a.o is an array; it must be an object");
  EXPECT_EQ(a.array("l").error().message, "a.l is an object; it must be an array");
  EXPECT_EQ(a.number("n").error().message, "a.n is a boolean; it must be a number");
  EXPECT_EQ(a.text("t").error().field, "a.t");
  EXPECT_EQ(a.texts().error().field, "a.t");
}

TEST(JsonArrayTest, ElementsHaveAPathWithTheirIndex) {
  const auto value = parse_json(R"({"files":["a",{"b":1},3]})");
  const auto root = JsonObject::from(*value, "");
  const auto files = root->array("files");
  ASSERT_TRUE(files.has_value() && files->has_value());
  EXPECT_EQ((*files)->size(), 3u);
  EXPECT_EQ((*files)->text(0), "a");
  EXPECT_EQ((*files)->object(1)->path_of("b"), "files[1].b");
  EXPECT_EQ((*files)->text(2).error().message, "files[2] is a number; it must be a string");
  EXPECT_EQ((*files)->object(0).error().field, "files[0]");
}

TEST(JsonObjectTest, WhatAClientWroteIsShownShort) {
  EXPECT_EQ(shown("a\xff"), "\"a\\xff\"");
  EXPECT_EQ(shown(std::string(100, 'x')), '"' + std::string(64, 'x') + "...\"");
}

}  // namespace
}  // namespace airlock::http
