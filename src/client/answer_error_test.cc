#include "client/answer_error.h"

#include <gtest/gtest.h>

namespace airlock::client {
namespace {

TEST(AnswerErrorTest, BothShapesAreUnderstood) {
  const base::Error own =
      answer_error(404, R"({"error":{"code":"not_found","message":"no receipt","hint":"wait"}})");
  EXPECT_EQ(own.code, base::ErrorCode::kNotFound);
  EXPECT_EQ(own.message, "no receipt");
  EXPECT_EQ(own.hint, "wait");
  EXPECT_EQ(answer_error(404, R"({"detail":"Job not found: job_1"})").message,
            "Job not found: job_1");
  const base::Error contract =
      answer_error(422, R"({"detail":[{"loc":["body","repo_url"],"msg":"repo_url: Field required"},
               {"loc":["body","priority"],"msg":"too high"}, 7]})");
  EXPECT_EQ(contract.code, base::ErrorCode::kInvalidArgument);
  EXPECT_EQ(contract.message, "repo_url: Field required; priority: too high");
}

TEST(AnswerErrorTest, AKeyThatIsMissingSaysWhereItComesFrom) {
  const base::Error error = answer_error(401, R"({"error":{"message":"a key is needed"}})");
  EXPECT_EQ(error.code, base::ErrorCode::kPermissionDenied);
  EXPECT_NE(error.hint.find("AIRLOCK_API_KEY"), std::string::npos);
  const base::Error refused = answer_error(403, R"({"detail":"Repository must be from: x"})");
  EXPECT_EQ(refused.code, base::ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused.hint, "");
}

TEST(AnswerErrorTest, WhatIsNotOursIsShownAndBounded) {
  const base::Error page = answer_error(502, "<html>" + std::string(100'000, 'x'));
  EXPECT_EQ(page.code, base::ErrorCode::kUnavailable);
  EXPECT_NE(page.message.find("status 502: <html>"), std::string::npos);
  EXPECT_LT(page.message.size(), 300u);
  EXPECT_EQ(answer_error(302, "").code, base::ErrorCode::kProtocol);
  for (const char* const body : {"[]", "{}", "{\"error\":1}", "{\"detail\":{}}", "{", "null"}) {
    EXPECT_NE(answer_error(500, body).message.find("status 500"), std::string::npos) << body;
  }
  const std::string long_text(10'000, 'y');
  EXPECT_LT(answer_error(400, "{\"detail\":\"" + long_text + "\"}").message.size(), 2'100u);
}

}  // namespace
}  // namespace airlock::client
