#include "http/text_encoding.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

TEST(Base64Test, DecodingIsTheInverseOfEncoding) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(decode_base64(base64(bytes)), bytes) << i;
    bytes.push_back(static_cast<char>(i * 7));
  }
}

// RFC 4648, chapter 10.
TEST(Base64Test, EncodesAsTheStandardSays) {
  const std::pair<const char*, const char*> kVectors[] = {{"", ""},
                                                          {"f", "Zg=="},
                                                          {"fo", "Zm8="},
                                                          {"foo", "Zm9v"},
                                                          {"foob", "Zm9vYg=="},
                                                          {"fooba", "Zm9vYmE="},
                                                          {"foobar", "Zm9vYmFy"},
                                                          {"\xff\xff\xfe", "///+"}};
  for (const auto& [bytes, text] : kVectors) {
    EXPECT_EQ(base64(bytes), text);
    EXPECT_EQ(decode_base64(text), bytes);
  }
}

// Words of eight bytes are looked at at once.
TEST(Utf8Test, WhatIsNoTextIsFoundWhereverItStands) {
  for (std::size_t size = 0; size < 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'x');
      EXPECT_TRUE(is_utf8(text));
      text[at] = '\xff';
      EXPECT_FALSE(is_utf8(text)) << size << " " << at;
      EXPECT_EQ(utf8_with_replacement(text).size(), size + 2);
      EXPECT_EQ(printable_utf8(text).size(), size + 3);
    }
  }
}

TEST(Base64Test, WhatNoEncoderMakesIsRefused) {
  for (const char* text :
       {"A", "AA", "AAA", "A===", "====", "=", "AA=A", "AA==AAAA", "QUJD\n", " QUJD", "QU JD",
        "QUJ_", "QUJ-", "QQ", "QR==", "QUJ=", "QUJD=", "QUJD====", "\xff\xff\xff\xff"}) {
    EXPECT_EQ(decode_base64(text), std::nullopt) << text;
  }
  EXPECT_EQ(decode_base64(std::string_view("QU\0D", 4)), std::nullopt);
}

TEST(ReplacementTest, TextStaysAsItIs) {
  for (const char* text : {"", "a", "é€😀", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(utf8_with_replacement(text), text);
  }
}

TEST(ReplacementTest, EachBrokenPieceBecomesOneCharacterAsInPython) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(utf8_with_replacement("a\xff"
                                  "b"),
            "a" + r + "b");
  EXPECT_EQ(utf8_with_replacement("\xe2\x82"), r);
  EXPECT_EQ(utf8_with_replacement("\xe2\x82x"), r + "x");
  EXPECT_EQ(utf8_with_replacement("\xf0\x9f\x98"), r);
  EXPECT_EQ(utf8_with_replacement("\xf0\x9f\x98z"), r + "z");
  EXPECT_EQ(utf8_with_replacement("\xf0\x80\x80"), r + r + r);
  EXPECT_EQ(utf8_with_replacement("\xed\xa0\x80"), r + r + r);
  EXPECT_EQ(utf8_with_replacement("\xc0\xaf"), r + r);
  EXPECT_EQ(utf8_with_replacement("\xe1\xe2\x82\xac"), r + "€");
  EXPECT_EQ(utf8_with_replacement("\xf4\x90\x80\x80"), r + r + r + r);
  EXPECT_EQ(utf8_with_replacement("\x80\x80"), r + r);
}

}  // namespace
}  // namespace airlock::http
