#include "receipt/canonical_json.h"

#include <gtest/gtest.h>

#include <string>

#include "receipt/digest.h"

namespace airlock::receipt {
namespace {

bool is_canonical(std::string_view text) {
  const auto value = parse_canonical_json(text, "text");
  return value.has_value() && canonical_json(*value) == text;
}

TEST(CanonicalJsonTest, TakesTheOneTextOfAValue) {
  for (const std::string_view text :
       {R"({})", R"([])", R"({"a":1,"b":[true,false,null,-7],"c":{"d":"\u0001\n\"\\é😀/"}})",
        R"("x")", "18446744073709551615", "-9223372036854775808"}) {
    EXPECT_TRUE(is_canonical(text)) << text;
  }
}

TEST(CanonicalJsonTest, RefusesEveryOtherTextOfTheSameValue) {
  for (const std::string_view text : {R"({"b":1,"a":2})",
                                      R"({"a":1,"a":1})",
                                      R"({"a":1,"a":2})",
                                      R"({ "a":1})",
                                      R"({"a":1} )",
                                      R"({"a":1}{})",
                                      R"({"a":"\u0041"})",
                                      R"({"a":"\/"})",
                                      R"({"a":"\u000a"})",
                                      R"({"a":"\U00e9"})",
                                      "1.0",
                                      "1e0",
                                      "-0",
                                      "01",
                                      "18446744073709551616",
                                      "1.5",
                                      "",
                                      "\xef\xbb\xbf{}",
                                      "\"\xff\"",
                                      R"("\ud800")",
                                      "nul",
                                      "{\"a\":1}\n",
                                      "\n{}"}) {
    EXPECT_FALSE(is_canonical(text)) << text;
  }
}

TEST(CanonicalJsonTest, DepthIsBounded) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_FALSE(is_canonical(deep));
}

TEST(CanonicalJsonTest, BytesThatAreNoTextAreShown) {
  EXPECT_EQ(json_safe("a\xff"
                      "b\xc3\xa9\xc3"),
            "a\\xffb\xc3\xa9\\xc3");
}

TEST(DigestTest, Sha256OfAKnownText) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(is_sha256_hex(sha256_hex("")));
  EXPECT_FALSE(is_sha256_hex(std::string(64, 'A')));
  EXPECT_FALSE(is_sha256_hex(std::string(63, 'a')));
}

TEST(DigestTest, Base64HasOneFormOnly) {
  for (const std::string_view bytes : {"", "a", "ab", "abc", "abcd", "\xff\xfe"}) {
    const auto decoded = decode_base64(encode_base64(bytes));
    ASSERT_TRUE(decoded.has_value()) << bytes;
    EXPECT_EQ(*decoded, bytes);
  }
  for (const std::string_view text : {"YQ", "YQ=", "YR==", "YQ==\n", " YQ==", "YQ==YQ==", "Y===",
                                      "====", "=", "YWI=YWI=", "_-==", "Y\nQ=", "YWJ=="}) {
    EXPECT_FALSE(decode_base64(text).has_value()) << text;
  }
}

TEST(DigestTest, Base64HasNoOtherCharacters) {
  int taken = 0;
  for (int byte = 0; byte < 256; ++byte) {
    for (std::size_t at = 0; at < 4; ++at) {
      std::string text = "AAAA";
      text[at] = static_cast<char>(byte);
      const auto decoded = decode_base64(text);
      if (!decoded) continue;
      ++taken;
      EXPECT_EQ(encode_base64(*decoded), text) << byte;
    }
  }
  EXPECT_EQ(taken, 4 * 64 + 1);  // and "AAA="
}

}  // namespace
}  // namespace airlock::receipt
