#include "http/cors.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

constexpr const char* kApp = "https://app.example";

Request from(std::string origin, std::string method = "POST") {
  return {.method = std::move(method),
          .path = "/v1/run",
          .query = "",
          .headers = {{"Host", "localhost:8088"},
                      {"Content-Type", "application/json"},
                      {"Origin", std::move(origin)}},
          .body = ""};
}

std::string header_of(const std::vector<Header>& headers, std::string_view name) {
  for (const Header& header : headers) {
    if (header.name == name) return header.value;
  }
  return "";
}

TEST(CorsTest, WithoutConfigurationNobodyIsTold) {
  const AccessPolicy policy;
  EXPECT_TRUE(cors_headers(policy, from(kApp)).empty());
  EXPECT_FALSE(is_preflight(policy, from(kApp, "OPTIONS")));
}

TEST(CorsTest, OnlyNamedOriginsMayReadAnswers) {
  const AccessPolicy policy{.key = "", .hosts = {}, .origins = {kApp}};
  EXPECT_EQ(header_of(cors_headers(policy, from(kApp)), "Access-Control-Allow-Origin"), kApp);
  for (const char* const other : {"https://app.example.evil", "http://app.example", "null", "",
                                  "https://app.example:444", "https://APP.example"}) {
    const auto headers = cors_headers(policy, from(other));
    EXPECT_EQ(header_of(headers, "Access-Control-Allow-Origin"), "") << other;
    EXPECT_EQ(header_of(headers, "Vary"), "Origin") << other;
  }
}

TEST(CorsTest, ANamedOriginIsNotForeignToAKeylessService) {
  AccessPolicy policy{.key = "", .hosts = loopback_hosts(), .origins = {}};
  EXPECT_TRUE(check_access(policy, from(kApp)));
  policy.origins = {kApp};
  EXPECT_FALSE(check_access(policy, from(kApp)));
  EXPECT_TRUE(check_access(policy, from("https://evil.example")));
  Request renamed = from(kApp);
  renamed.headers[0].value = "evil.example";
  EXPECT_TRUE(check_access(policy, renamed));
  Request form = from(kApp);
  form.headers[1].value = "text/plain";
  EXPECT_TRUE(check_access(policy, form));
}

TEST(CorsTest, ABrowserThatAsksIsToldWhatItMaySend) {
  const AccessPolicy policy{.key = "", .hosts = {}, .origins = {kApp}};
  Request question = from(kApp, "OPTIONS");
  EXPECT_FALSE(is_preflight(policy, question));
  question.headers.push_back({"Access-Control-Request-Method", "POST"});
  EXPECT_TRUE(is_preflight(policy, question));
  const Response plain = preflight_response(question, "POST");
  EXPECT_EQ(plain.status, 204);
  EXPECT_EQ(header_of(plain.headers, "Access-Control-Allow-Methods"), "POST");
  EXPECT_EQ(header_of(plain.headers, "Access-Control-Allow-Private-Network"), "");
  question.headers.push_back({"Access-Control-Request-Private-Network", "true"});
  EXPECT_EQ(header_of(preflight_response(question, "POST").headers,
                      "Access-Control-Allow-Private-Network"),
            "true");
}

TEST(CorsTest, OriginsAreAsBrowsersWriteThem) {
  for (const char* const origin : {"https://app.example", "http://localhost:3000", "http://[::1]:1",
                                   "https://a-b.c_d.example:8443"}) {
    EXPECT_EQ(parse_origin(origin), origin);
  }
  for (const char* const text :
       {"*", "", "app.example", "https://", "https://app.example/", "https://App.example",
        "ftp://app.example", "https://app.example:443", "http://app.example:80", "https://a b",
        "https://a:0", "https://a:x", "https://a:", "https://user@a", "null", "https://[]"}) {
    const auto origin = parse_origin(text);
    ASSERT_FALSE(origin) << text;
    EXPECT_NE(origin.error().hint.find("https://app.example"), std::string::npos);
  }
}

}  // namespace
}  // namespace airlock::http
