#include "artifact/location.h"

#include <gtest/gtest.h>

#include "artifact/names.h"

namespace airlock::artifact {
namespace {

Location s3(std::string bucket, std::string key) {
  return {
      .kind = Location::Kind::kS3, .bucket = std::move(bucket), .key = std::move(key), .path = {}};
}

Location file(std::string path) {
  return {.kind = Location::Kind::kFile, .bucket = {}, .key = {}, .path = std::move(path)};
}

TEST(LocationTest, TakesEverySpellingOfTheContract) {
  EXPECT_EQ(parse_location("s3://bucket/key").value(), s3("bucket", "key"));
  EXPECT_EQ(parse_location("bucket/a/key").value(), s3("bucket", "a/key"));
  EXPECT_EQ(parse_location("https://bucket.s3.amazonaws.com/a/key").value(), s3("bucket", "a/key"));
  EXPECT_EQ(parse_location("https://bucket.host:9000/key").value(), s3("bucket", "key"));
  EXPECT_EQ(parse_location("file:///data/in").value(), file("/data/in"));
}

TEST(LocationTest, APrefixKeepsItsSlash) {
  EXPECT_EQ(parse_location("s3://bucket/in/").value(), s3("bucket", "in/"));
  EXPECT_EQ(parse_location("file:///data/in/").value(), file("/data/in/"));
}

TEST(LocationTest, KeysAreTakenAsWrittenAndUrlsDecoded) {
  EXPECT_EQ(parse_location("s3://bucket/a%20b+c=d").value(), s3("bucket", "a%20b+c=d"));
  EXPECT_EQ(parse_location("https://bucket.host/a%20b+c").value(), s3("bucket", "a b+c"));
  EXPECT_EQ(parse_location("file:///a%20b/%C3%BC").value(), file("/a b/ü"));
  EXPECT_EQ(parse_location("bucket/x://y").value_or(Location{}).bucket, "");  // an empty part
}

TEST(LocationTest, PathsOfFilesAreMadePlain) {
  EXPECT_EQ(parse_location("file:///a//b/./c").value(), file("/a/b/c"));
  EXPECT_EQ(parse_location("file:///").value(), file("/"));
  EXPECT_EQ(parse_location("file://localhost/a").value(), file("/a"));
}

TEST(LocationTest, SaysAgainWhatItWasMadeFrom) {
  for (const char* const text : {"s3://bucket/a b/ü", "file:///data/in", "s3://bucket/in/"}) {
    const Location location = parse_location(text).value();
    EXPECT_EQ(parse_location(location.to_string()).value(), location);
  }
  const Location odd = file("/a%20b?#");
  EXPECT_EQ(parse_location(odd.to_string()).value(), odd);
}

struct Refused {
  const char* text;
  const char* part;  // of the message
};

class LocationRefusesTest : public testing::TestWithParam<Refused> {};

TEST_P(LocationRefusesTest, WithTheTextAndTheForms) {
  const auto parsed = parse_location(GetParam().text);
  ASSERT_FALSE(parsed.has_value()) << GetParam().text;
  EXPECT_EQ(parsed.error().code, base::ErrorCode::kInvalidArgument);
  EXPECT_NE(parsed.error().message.find(GetParam().part), std::string::npos)
      << parsed.error().message;
  EXPECT_NE(parsed.error().hint.find("s3://bucket/key"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Every, LocationRefusesTest,
    testing::Values(
        Refused{"", "empty"}, Refused{"bucket", "no key"}, Refused{"s3://bucket", "no key"},
        Refused{"s3://bucket/", "no key"}, Refused{"s3:///key", "bucket"},
        Refused{"s3://ab/key", "3 to 63"}, Refused{"s3://Bucket/key", "3 to 63"},
        Refused{"s3://-bucket/key", "3 to 63"}, Refused{"s3://bu..cket/key", "3 to 63"},
        Refused{"s3://10.0.0.1/key", "3 to 63"}, Refused{"s3://bucket/../other", ".."},
        Refused{"s3://bucket/a//b", "empty"}, Refused{"s3://bucket//a", "absolute"},
        Refused{"s3://bucket/a\nb", "\\x0a"}, Refused{"s3://bucket/\xff", "\\xff"},
        Refused{"ftp://host/key", "\"ftp\""}, Refused{"http://bucket.host/key", "\"http\""},
        Refused{"https://localhost/key", "bucket"}, Refused{"https://127.0.0.1/key", "bucket"},
        Refused{"https://[::1]/key", "bucket"}, Refused{"https://bucket.host/%2", "%"},
        Refused{"https://bucket.host/a%2f..%2fb", ".."}, Refused{"file://host/path", "begins"},
        Refused{"file://relative", "begins"}, Refused{"file:///a/../b", ".."},
        Refused{"file:///a/%2e%2e/b", ".."}, Refused{"file:///a%00b", "control"}));

TEST(LocationTest, NeverRepeatsWhatMayBeASecret) {
  for (const char* const text :
       {"https://user:secret@bucket.host/key", "https://bucket.host/key?X-Amz-Signature=secret",
        "https://bucket.host/key#secret"}) {
    const auto parsed = parse_location(text);
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().to_string().find("secret"), std::string::npos)
        << parsed.error().to_string();
  }
}

TEST(NamesTest, RelativePathsThatLeadAstrayAreRefusedByName) {
  EXPECT_TRUE(check_relative_path("a/b c/ü+=&"));
  EXPECT_TRUE(check_relative_path(std::string(255, 'a') + "/b"));
  const std::string deep = [] {
    std::string path = "a";
    for (std::size_t i = 0; i < kPathDepthMax; ++i) path += "/a";
    return path;
  }();
  for (const std::string& path :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"), std::string("."),
        std::string("a/../b"), std::string(".."), std::string("a\x7f"), std::string("a\0b", 3),
        std::string("\xc2\x85"), std::string("\xc0\xaf"), std::string(256, 'a'),
        std::string(1'025, 'a'), deep}) {
    const auto checked = check_relative_path(path);
    ASSERT_FALSE(checked) << path;
    EXPECT_NE(checked.error().message.find(artifact::quoted(path)), std::string::npos);
  }
}

TEST(NamesTest, PrintsAnythingOnOneLine) {
  EXPECT_EQ(artifact::quoted("a\"\\\n\x1b[31mü\xff"), "\"a\\\"\\\\\\x0a\\x1b[31mü\\xff\"");
  EXPECT_LT(artifact::quoted(std::string(10'000, '\1')).size(), 300U);
}

TEST(NamesTest, PercentCodingKeepsEveryByte) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_encode("a/b c~+", "/"), "a/b%20c~%2B");
  EXPECT_FALSE(percent_decode("%").has_value());
  EXPECT_FALSE(percent_decode("%4").has_value());
  EXPECT_FALSE(percent_decode("%zz").has_value());
}

}  // namespace
}  // namespace airlock::artifact
