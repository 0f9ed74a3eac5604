#include "http/swissbrain_api.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "http/fake_catalog.h"
#include "http/test_content.h"

namespace airlock::http {
namespace {

const RunCatalog& catalog() {
  static const auto instance = make_fake_catalog();
  return *instance;
}

ApiResult<SwissbrainRun> parse(std::string_view body, const SwissbrainLimits& limits = {}) {
  return parse_swissbrain_run(body, catalog(), limits);
}

std::string refusal(std::string_view body, const SwissbrainLimits& limits = {}) {
  const auto parsed = parse(body, limits);
  return parsed ? "accepted" : std::to_string(parsed.error().status) + " " + parsed.error().message;
}

model::Limits limits_of(const std::string& members) {
  const auto parsed = parse(R"({"code":"x","language":"python",)" + members + "}");
  EXPECT_TRUE(parsed.has_value());
  return parsed ? parsed->run.request.spec.run.limits : model::Limits{};
}

TEST(SwissbrainApiTest, ARequestOfTheKnownCallerRuns) {
  const auto parsed = parse(
      R"({"code":"print 1","language":"python","user_id":"u","tier":"pro","timeout_seconds":5,)"
      R"("stdin":"in","anything":{"else":1}})");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  EXPECT_EQ(parsed->user_id, "u");
  EXPECT_EQ(parsed->tier, "pro");
  const runner::RunRequest& request = parsed->run.request;
  EXPECT_EQ(content_of(request.files[0].content.get()), "print 1");
  EXPECT_EQ(content_of(request.stdin_fd), "in");
  const model::Limits& limits = request.spec.run.limits;
  EXPECT_EQ(limits.wall_time, std::chrono::seconds(5));
  EXPECT_EQ(limits.memory, base::gibibytes(4));
  EXPECT_EQ(limits.cpu_rate_percent, 200u);
  EXPECT_EQ(limits.pids, 200u);
  EXPECT_EQ(limits.open_files, 16'384u);
  EXPECT_EQ(limits.disk, base::gibibytes(1));
  EXPECT_EQ(limits.output, base::mebibytes(1));
}

TEST(SwissbrainApiTest, ATierBoundsTheTimeout) {
  using std::chrono::milliseconds;
  EXPECT_EQ(limits_of(R"("tier":"free")").wall_time, milliseconds(5'000));
  EXPECT_EQ(limits_of(R"("tier":"free","timeout_seconds":30)").wall_time, milliseconds(5'000));
  EXPECT_EQ(limits_of(R"("tier":"enterprise","timeout_seconds":1e300)").wall_time,
            milliseconds(120'000));
  EXPECT_EQ(limits_of(R"("tier":"free","timeout_seconds":0.25)").wall_time, milliseconds(250));
  EXPECT_EQ(limits_of(R"("tier":"free","timeout_seconds":1e-9)").wall_time, milliseconds(1));
  EXPECT_EQ(limits_of(R"("tier":"free","timeout_seconds":null)").wall_time, milliseconds(5'000));
}

TEST(SwissbrainApiTest, AnUnknownTierIsStandardAndNoTierIsFree) {
  EXPECT_EQ(find_swissbrain_tier("gold").name, "standard");
  EXPECT_EQ(find_swissbrain_tier("").name, "standard");
  EXPECT_EQ(parse(R"({"code":"x","language":"python"})")->tier, "free");
  EXPECT_EQ(parse(R"({"code":"x","language":"python","tier":"PRO"})")->tier, "standard");
}

TEST(SwissbrainApiTest, EveryTierIsWithinWhatIsPossible) {
  for (const SwissbrainTier& tier : kSwissbrainTiers) {
    const auto parsed =
        parse(R"({"code":"x","language":"c","tier":")" + std::string(tier.name) + R"("})");
    ASSERT_TRUE(parsed.has_value()) << tier.name;
    EXPECT_TRUE(model::validate(parsed->run.request.spec.run.limits).has_value());
    EXPECT_TRUE(parsed->run.request.spec.compile.has_value());
  }
}

TEST(SwissbrainApiTest, ShellIsBashAndEveryLanguageOfTheCatalogIsTaken) {
  EXPECT_EQ(parse(R"({"code":"x","language":"shell"})")->run.request.files[0].path,
            "workspace/main.sh");
  EXPECT_EQ(refusal(R"({"code":"x","language":"javascript"})"), "accepted");
  EXPECT_EQ(refusal(R"({"code":"x","language":"rust"})"),
            "400 Invalid language. Supported: python, javascript, shell, bash, c, cobol");
  EXPECT_TRUE(refusal(R"({"code":"x","language":"cobol"})").starts_with("503 cobol cannot run"));
}

TEST(SwissbrainApiTest, BadRequestsAreRefused) {
  EXPECT_EQ(refusal("{}"), "400 Missing required fields: code, language");
  EXPECT_EQ(refusal(R"({"code":"","language":"python"})"),
            "400 Missing required fields: code, language");
  EXPECT_EQ(refusal(R"({"code":1,"language":"python"})"),
            "400 code is a number; it must be a string");
  EXPECT_EQ(refusal(R"({"code":"x","language":"python","timeout_seconds":0})"),
            "400 timeout_seconds must be a number above 0");
  for (const char* member : {R"("timeout_seconds":-1)", R"("timeout_seconds":"5")", R"("tier":1)",
                             R"("user_id":{})", R"("stdin":5)"}) {
    EXPECT_TRUE(refusal(std::string(R"({"code":"x","language":"python",)") + member + "}")
                    .starts_with("400 "))
        << member;
  }
  for (const char* body : {"", "[]", "{", "{\"code\":\"\xff\"}", R"({"code":"a","code":"b"})"}) {
    EXPECT_TRUE(refusal(body).starts_with("400 ")) << body;
  }
}

TEST(SwissbrainApiTest, SizesAreBounded) {
  SwissbrainLimits limits;
  limits.code_bytes_max = 2;
  limits.stdin_bytes_max = 2;
  limits.user_id_bytes_max = 2;
  EXPECT_EQ(refusal(R"({"code":"12","language":"python","stdin":"12","user_id":"12"})", limits),
            "accepted");
  EXPECT_EQ(refusal(R"({"code":"123","language":"python"})", limits),
            "400 code has 3 bytes; at most 2 are allowed");
  EXPECT_TRUE(refusal(R"({"code":"1","language":"python","stdin":"123"})", limits)
                  .starts_with("400 stdin has 3 bytes"));
  EXPECT_TRUE(refusal(R"({"code":"1","language":"python","user_id":"123"})", limits)
                  .starts_with("400 user_id has 3 bytes"));
}

TEST(SwissbrainApiTest, TheAnswerIsThatOfTheContract) {
  model::RunResult result;
  result.outcome.kind = model::OutcomeKind::kExited;
  result.outcome.exit_code = 0;
  result.stdout_bytes = "hi\xff";
  result.stdout_truncated = true;
  result.usage.wall = std::chrono::microseconds(12'345);
  result.usage.memory_peak = base::kibibytes(1536);
  EXPECT_EQ(swissbrain_result_json(result),
            "{\"stdout\":\"hi\xef\xbf\xbd\",\"stderr\":\"\",\"exit_code\":0,"
            "\"execution_time_ms\":12,\"memory_used_mb\":1.5,\"truncated\":true,"
            "\"security_warnings\":[],\"outcome\":\"exited\"}");
  result.usage.memory_peak.reset();
  const auto object = boost::json::parse(swissbrain_result_json(result)).as_object();
  EXPECT_TRUE(object.at("memory_used_mb").is_null());
}

TEST(SwissbrainApiTest, AFailedCompilationShowsTheCompilersWords) {
  model::RunResult result;
  result.outcome.kind = model::OutcomeKind::kExited;
  result.outcome.exit_code = 1;
  result.compile = std::make_unique<model::RunResult>();
  result.compile->outcome = result.outcome;
  result.compile->stderr_bytes = "main.c:1: error";
  const auto object = boost::json::parse(swissbrain_result_json(result)).as_object();
  EXPECT_EQ(object.at("stderr").as_string(), "main.c:1: error");
  EXPECT_EQ(object.at("exit_code").as_int64(), 1);
}

TEST(SwissbrainApiTest, ErrorsHaveTheShapeOfTheContract) {
  EXPECT_EQ(swissbrain_error_json(parse("{}").error()),
            R"({"error":"Missing required fields: code, language"})");
}

TEST(SwissbrainApiTest, ASandboxThatCouldNotBeMadeIsNoResult) {
  model::RunResult result;
  result.outcome.kind = model::OutcomeKind::kExited;
  EXPECT_FALSE(swissbrain_failure(result).has_value());
  result.outcome.kind = model::OutcomeKind::kSetupFailed;
  result.outcome.detail = "limits: Operation not permitted";
  const auto error = swissbrain_failure(result);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->status, 500);
  EXPECT_NE(error->message.find("limits: Operation not permitted"), std::string::npos);
}

}  // namespace
}  // namespace airlock::http
