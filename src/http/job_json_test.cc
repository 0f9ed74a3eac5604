#include "http/job_json.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace airlock::http {
namespace {

model::WallTime at(std::int64_t microseconds) {
  return model::WallTime(std::chrono::microseconds(microseconds));
}

model::JobRecord some_job() {
  model::JobRecord record;
  record.id = "job_0123456789ab";
  record.spec.repo_url = "https://github.com/a/b";
  record.spec.weight_class = {2, "H200"};
  record.spec.miner_hotkey = "5M";
  record.submitted_at = at(1'700'000'000'000'001);
  return record;
}

TEST(JobJsonTest, TimesAreNaiveUtcWithMicroseconds) {
  EXPECT_EQ(naive_time(at(0)), "1970-01-01T00:00:00.000000");
  EXPECT_EQ(naive_time(at(1'738'238'400'123'456)), "2025-01-30T12:00:00.123456");
}

TEST(JobJsonTest, ANewJobHasNullsWhereTheContractHasThem) {
  const auto json = job_json(some_job());
  EXPECT_EQ(json.at("status"), "pending");
  for (const char* key : {"started_at", "completed_at", "current_phase", "assigned_gpus",
                          "error_message", "validator_hotkey"}) {
    EXPECT_TRUE(json.at(key).is_null()) << key;
  }
  EXPECT_EQ(json.at("weight_class"), "2xH200");
}

TEST(JobJsonTest, APhaseShowsItsVerdict) {
  auto record = some_job();
  model::PhaseRecord phase;
  phase.name = "prep";
  phase.outcome = model::Outcome{.kind = model::OutcomeKind::kWallTimeout,
                                 .exit_code = {},
                                 .signal = {},
                                 .detail = "too long",
                                 .limits_hit = {model::LimitKind::kWall}};
  record.phases.push_back(phase);
  const auto json = job_json(record);
  const auto& result = json.at("phases").as_array().at(0).at("result");
  EXPECT_EQ(result.at("outcome"), "wall_timeout");
  EXPECT_EQ(result.at("limits_hit").as_array().at(0), "wall");
}

TEST(JobJsonTest, ErrorsHaveTheShapesOfTheContract) {
  const ApiError invalid{
      .status = 422, .code = "x", .message = "bad", .hint = {}, .field = "priority"};
  EXPECT_EQ(
      job_error_json(invalid),
      R"({"detail":[{"type":"value_error","loc":["body","priority"],"msg":"bad","input":null}]})");
  EXPECT_EQ(job_error_json({.status = 404, .message = "Job not found: job_1"}),
            R"({"detail":"Job not found: job_1"})");
  EXPECT_EQ(job_error_json({.status = 400, .message = "no"}),
            R"({"detail":"no","error":"Bad Request"})");
  EXPECT_EQ(boost::json::parse(job_error_json({.status = 500, .message = "secret"})).at("detail"),
            "An unexpected error occurred");
}

TEST(JobJsonTest, ExecutionTimeIsFromStartToEnd) {
  auto record = some_job();
  EXPECT_TRUE(execution_seconds(record).is_null());
  record.started_at = at(1'000'000);
  record.completed_at = at(3'500'000);
  EXPECT_DOUBLE_EQ(execution_seconds(record).as_double(), 2.5);
}

TEST(JobJsonTest, NobodysTextCanBreakALine) {
  auto record = some_job();
  record.error_message = "Git clone failed: \x1b[2J\nfake";
  const std::string text = boost::json::serialize(job_json(record));
  EXPECT_EQ(text.find_first_of("\x1b\n"), std::string::npos);
}

}  // namespace
}  // namespace airlock::http
