#include "artifact/curl_functions.h"

#include <gtest/gtest.h>

#include "artifact/http_call.h"
#include "base/clock.h"

namespace airlock::artifact {
namespace {

TEST(CurlFunctionsTest, TheLibraryIsLoadedAsOftenAsItIsAskedFor) {
  const auto first = load_curl();
  ASSERT_TRUE(first.has_value()) << first.error().to_string();
  const auto second = load_curl();
  ASSERT_TRUE(second.has_value()) << second.error().to_string();
  EXPECT_EQ(first->easy_perform, second->easy_perform);
  EXPECT_EQ(first->getdate("Thu, 01 Jan 1970 00:01:00 GMT", nullptr), 60);
}

TEST(CurlFunctionsTest, AHostWithoutItIsToldWhatToInstall) {
  const auto curl = load_curl("libcurl-of-nobody.so.4");
  ASSERT_FALSE(curl.has_value());
  EXPECT_EQ(curl.error().code, base::ErrorCode::kUnavailable);
  EXPECT_NE(curl.error().message.find("libcurl-of-nobody.so.4"), std::string::npos);
  EXPECT_NE(curl.error().hint.find("libcurl4"), std::string::npos);
}

TEST(CurlFunctionsTest, AnotherLibraryIsNotTakenForIt) {
  const auto curl = load_curl("libm.so.6");
  ASSERT_FALSE(curl.has_value());
  EXPECT_EQ(curl.error().code, base::ErrorCode::kUnavailable);
  EXPECT_NE(curl.error().message.find("libm.so.6 lacks curl_easy_init"), std::string::npos);
}

TEST(CurlFunctionsTest, WithoutItARequestFailsAndSaysWhatIsMissing) {
  const base::SystemClock clock;
  HttpCall http("", {}, clock, "libcurl-of-nobody.so.4");
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto answer = http.perform({.method = "GET", .url = "http://127.0.0.1:9/"}, {});
    ASSERT_FALSE(answer.has_value());
    EXPECT_TRUE(answer.error().may_pass);  // an upgrade may be under way
    EXPECT_EQ(answer.error().error.code, base::ErrorCode::kUnavailable);
    EXPECT_NE(answer.error().error.hint.find("libcurl4"), std::string::npos);
  }
}

}  // namespace
}  // namespace airlock::artifact
