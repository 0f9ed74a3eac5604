#include "artifact/s3_config.h"

#include <gtest/gtest.h>

#include <map>

namespace airlock::artifact {
namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

EnvironmentLookup lookup(Variables variables) {
  return [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

const Variables kAws = {{"AWS_ACCESS_KEY_ID", "AK"}, {"AWS_SECRET_ACCESS_KEY", "hidden"}};

TEST(S3ConfigTest, AwsNeedsNothingButKeys) {
  const S3Config config = make_s3_config({}, lookup(kAws)).value();
  EXPECT_EQ(config.endpoint.url(), "https://s3.us-east-1.amazonaws.com");
  EXPECT_EQ(config.style, AddressingStyle::kVirtualHost);
  EXPECT_EQ(config.credentials.access_key, "AK");
  EXPECT_EQ(config.retry.attempts, 3U);
  EXPECT_EQ(config.retry.first_wait, std::chrono::seconds(1));
}

TEST(S3ConfigTest, WhatIsSaidComesBeforeTheEnvironmentAndS3BeforeAws) {
  Variables variables = kAws;
  variables["S3_ACCESS_KEY"] = "S3K";
  variables["S3_SECRET_KEY"] = "hidden2";
  variables["S3_ENDPOINT"] = "http://127.0.0.1:9000/";
  variables["AWS_REGION"] = "eu-west-1";
  S3Config config = make_s3_config({}, lookup(variables)).value();
  EXPECT_EQ(config.credentials.access_key, "S3K");
  EXPECT_EQ(config.endpoint.url(), "http://127.0.0.1:9000");
  EXPECT_EQ(config.region, "eu-west-1");
  EXPECT_EQ(config.style, AddressingStyle::kPath);
  S3Settings settings;
  settings.access_key = "mine";
  settings.secret_key = "hidden3";
  settings.region = "auto";
  settings.style = "virtual";
  config = make_s3_config(settings, lookup(variables)).value();
  EXPECT_EQ(config.credentials.access_key, "mine");
  EXPECT_EQ(config.region, "auto");
  EXPECT_EQ(config.style, AddressingStyle::kVirtualHost);
}

TEST(S3ConfigTest, HalfAPairOrNoneIsRefusedWithoutShowingAny) {
  for (const Variables& variables :
       {Variables{{"S3_ACCESS_KEY", "hidden"}}, Variables{{"AWS_SECRET_ACCESS_KEY", "hidden"}},
        Variables{{"S3_ACCESS_KEY", "AK"}, {"S3_SECRET_KEY", "hidden\n"}}, Variables{}}) {
    const auto config = make_s3_config({}, lookup(variables));
    ASSERT_FALSE(config.has_value());
    EXPECT_EQ(config.error().to_string().find("hidden"), std::string::npos);
    EXPECT_NE(config.error().hint, "");
  }
}

TEST(S3ConfigTest, StylesAndRegionsAreRefusedByWhatTheySay) {
  EXPECT_EQ(parse_style("").value(), AddressingStyle::kAuto);
  EXPECT_EQ(parse_style("virtual").value(), AddressingStyle::kVirtualHost);
  EXPECT_NE(parse_style("Path").error().message.find("\"Path\""), std::string::npos);
  EXPECT_TRUE(check_region("us-gov-west-1").has_value());
  for (const char* const text : {"us east", "eu/1", "a\n"}) {
    EXPECT_FALSE(check_region(text).has_value()) << text;
  }
}

TEST(S3ConfigTest, EndpointsAreHostsOnly) {
  EXPECT_EQ(parse_endpoint("https://host:443").value().host, "host");
  EXPECT_EQ(parse_endpoint("http://host:443").value().host, "host:443");
  EXPECT_EQ(parse_endpoint("http://[::1]:80").value().host, "[::1]");
  for (const char* const text :
       {"", "host", "ftp://host", "https://", "https://h/path", "https://h?x", "https://h:x",
        "https://h:", "https://h:123456", "https://h h", "https://:1"}) {
    EXPECT_FALSE(parse_endpoint(text).has_value()) << text;
  }
  const auto secret = parse_endpoint("https://user:hidden@host");
  ASSERT_FALSE(secret.has_value());
  EXPECT_EQ(secret.error().to_string().find("hidden"), std::string::npos);
}

TEST(S3ConfigTest, ReadsAProfileOfACredentialsFile) {
  constexpr std::string_view kText =
      "# made by hand\n[default]\naws_access_key_id = AK\naws_secret_access_key=s=/+\n\n"
      "[ other ]\r\naws_access_key_id=OK\r\naws_secret_access_key = os\r\n"
      "aws_session_token = token\r\nregion = x\r\n";
  const S3Credentials standard = parse_credentials_file(kText, "default", "f").value();
  EXPECT_EQ(standard.access_key, "AK");
  EXPECT_EQ(standard.secret_key, "s=/+");
  EXPECT_EQ(standard.session_token, "");
  const S3Credentials other = parse_credentials_file(kText, "other", "f").value();
  EXPECT_EQ(other.access_key, "OK");
  EXPECT_EQ(other.session_token, "token");
  EXPECT_NE(parse_credentials_file(kText, "none", "f").error().message.find("\"none\""),
            std::string::npos);
}

TEST(S3ConfigTest, AMalformedFileIsRefusedByItsLine) {
  const auto parsed = parse_credentials_file("[default]\nhidden\n", "default", "the-file");
  ASSERT_FALSE(parsed.has_value());
  EXPECT_NE(parsed.error().message.find("\"the-file\" line 2"), std::string::npos);
  EXPECT_EQ(parsed.error().message.find("hidden"), std::string::npos);
}

TEST(S3ConfigTest, AMissingFileIsNamed) {
  S3Settings settings;
  settings.credentials_file = "/nowhere/credentials";
  const auto config = make_s3_config(settings, lookup({}));
  ASSERT_FALSE(config.has_value());
  EXPECT_NE(config.error().message.find("/nowhere/credentials"), std::string::npos);
}

}  // namespace
}  // namespace airlock::artifact
