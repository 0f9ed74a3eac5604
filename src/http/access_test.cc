#include "http/access.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

constexpr const char* kKey = "0123456789abcdef0123456789abcdef";

Request request(std::vector<Header> headers, std::string method = "POST") {
  return {.method = std::move(method),
          .path = "/v1/run",
          .query = "",
          .headers = std::move(headers),
          .body = ""};
}

int status(const AccessPolicy& policy, const Request& head) {
  const auto error = check_access(policy, head);
  return error ? error->status : 200;
}

TEST(AccessTest, AKeyComesInOneOfTwoHeaders) {
  const AccessPolicy policy{.key = kKey, .hosts = {}};
  EXPECT_EQ(status(policy, request({{"Authorization", std::string("Bearer ") + kKey}})), 200);
  EXPECT_EQ(status(policy, request({{"authorization", std::string("BEARER ") + kKey}})), 200);
  EXPECT_EQ(status(policy, request({{"X-API-Key", kKey}})), 200);
  EXPECT_EQ(status(policy, request({})), 401);
  EXPECT_EQ(status(policy, request({{"X-API-Key", std::string(kKey) + "x"}})), 401);
  EXPECT_EQ(status(policy, request({{"X-API-Key", std::string(kKey).substr(1)}})), 401);
  EXPECT_EQ(status(policy, request({{"Authorization", std::string("Basic ") + kKey}})), 401);
  EXPECT_EQ(status(policy, request({{"Authorization", "Bearer "}})), 401);
}

TEST(AccessTest, AWrongAuthorizationIsNotMadeUpForByAnotherHeader) {
  const AccessPolicy policy{.key = kKey, .hosts = {}};
  EXPECT_EQ(status(policy, request({{"Authorization", "Bearer wrong"}, {"X-API-Key", kKey}})), 401);
}

TEST(AccessTest, WithAKeyHostAndOriginAreNobodysBusiness) {
  const AccessPolicy policy{.key = kKey, .hosts = {}};
  EXPECT_EQ(status(policy, request({{"X-API-Key", kKey},
                                    {"Host", "sandbox.example"},
                                    {"Origin", "https://app.example"}})),
            200);
}

class KeylessTest : public testing::Test {
 protected:
  int status_of(std::string host, std::string origin, std::string type = "application/json") {
    std::vector<Header> headers = {{"Host", std::move(host)}, {"Content-Type", std::move(type)}};
    if (!origin.empty()) headers.push_back({"Origin", std::move(origin)});
    return status({.key = "", .hosts = loopback_hosts()}, request(std::move(headers)));
  }
};

TEST_F(KeylessTest, OurOwnNamesAreTaken) {
  for (const char* const host :
       {"localhost", "localhost:8088", "LOCALHOST:1", "127.0.0.1:8088", "[::1]:8088", "[::1]"}) {
    EXPECT_EQ(status_of(host, ""), 200) << host;
  }
}

TEST_F(KeylessTest, ANameThatWasPointedAtUsIsRefused) {
  for (const char* const host :
       {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "127.0.0.2",
        "[::1].evil.example", "localhost@evil.example", "0.0.0.0:8088", "::1",
        "localhost:80@evil.example", "localhost:evil.example", "[::1]:80.evil.example"}) {
    EXPECT_EQ(status_of(host, ""), 403) << host;
  }
}

TEST_F(KeylessTest, OnlyOurOwnPagesMayAsk) {
  EXPECT_EQ(status_of("localhost:8088", "http://localhost:8088"), 200);
  for (const char* const origin :
       {"https://evil.example", "null", "http://localhost:9999", "http://localhost",
        "localhost:8088", "file://", "https://localhost:8088", "http://localhost:8088/"}) {
    EXPECT_EQ(status_of("localhost:8088", origin), 403) << origin;
  }
}

TEST_F(KeylessTest, WhatAFormCouldPostIsRefused) {
  EXPECT_EQ(status_of("localhost", "", "application/json; charset=utf-8"), 200);
  EXPECT_EQ(status_of("localhost", "", "Application/JSON"), 200);
  for (const char* const type : {"", "text/plain", "application/x-www-form-urlencoded",
                                 "multipart/form-data; x=application/json", "application/jsonp",
                                 "text/plain; application/json"}) {
    EXPECT_EQ(status_of("localhost", "", type), 415) << type;
  }
}

TEST(AccessTest, ComparingLooksAtEveryByte) {
  EXPECT_TRUE(equals_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equals_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equals_in_constant_time("xbc", "abc"));
  EXPECT_FALSE(equals_in_constant_time("ab", "abc"));
  EXPECT_FALSE(equals_in_constant_time("", "abc"));
}

}  // namespace
}  // namespace airlock::http
