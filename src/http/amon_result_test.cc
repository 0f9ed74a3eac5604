#include "http/amon_result.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace airlock::http {
namespace {

const AmonIds kIds{.job_id = "0123456789abcdef0123456789abcdef", .request_id = "r1"};

model::RunResult ended(model::OutcomeKind kind, std::optional<int> code,
                       std::optional<int> signal) {
  model::RunResult result;
  result.outcome.kind = kind;
  result.outcome.exit_code = code;
  result.outcome.signal = signal;
  return result;
}

boost::json::object encode(const model::RunResult& result) {
  const AmonAnswer answer = amon_answer(kIds, result, {});
  EXPECT_EQ(answer.status, 200);
  return boost::json::parse(answer.body).as_object();
}

std::string refusal(const model::RunResult& result, const AmonLimits& limits = {}) {
  const AmonAnswer answer = amon_answer(kIds, result, limits);
  if (answer.status == 200) return "accepted";
  const auto object = boost::json::parse(answer.body).as_object();
  return std::to_string(answer.status) + " " + std::string(object.at("detail").as_string());
}

TEST(AmonResultTest, TheAnswerIsThatOfTheContract) {
  model::RunResult result = ended(model::OutcomeKind::kExited, 3, std::nullopt);
  result.stdout_bytes = "hi\n";
  result.usage.wall = std::chrono::microseconds(12'900);
  result.files = {{"b", "x"}, {"a/c", ""}};
  EXPECT_EQ(
      amon_answer(kIds, result, {}).body,
      R"({"id":"0123456789abcdef0123456789abcdef",)"
      R"("job_id":"0123456789abcdef0123456789abcdef","request_id":"r1","exit_code":3,)"
      R"("stdout":"hi\n","stderr":"","duration_ms":12,"timed_out":false,"output_files":[)"
      R"({"path":"a/c","content_b64":"","size":0},{"path":"b","content_b64":"eA==","size":1}]})");
}

TEST(AmonResultTest, ATimeoutSaysSoAndKeepsWhatWasPrinted) {
  model::RunResult result = ended(model::OutcomeKind::kWallTimeout, std::nullopt, 9);
  result.stdout_bytes = "partial";
  result.stderr_bytes = "e";
  const auto object = encode(result);
  EXPECT_EQ(object.at("exit_code").as_int64(), 124);
  EXPECT_TRUE(object.at("timed_out").as_bool());
  EXPECT_EQ(object.at("stdout").as_string(), "partial");
  EXPECT_EQ(object.at("stderr").as_string(), "e\n[timeout] code execution exceeded limit\n");
}

TEST(AmonResultTest, SignalsAndMemoryHaveTheNumbersOfAShell) {
  const auto code = [](const model::RunResult& result) {
    return encode(result).at("exit_code").as_int64();
  };
  EXPECT_EQ(code(ended(model::OutcomeKind::kSignalled, std::nullopt, 11)), 139);
  EXPECT_EQ(code(ended(model::OutcomeKind::kOutOfMemory, 0, std::nullopt)), 137);
  EXPECT_EQ(code(ended(model::OutcomeKind::kOutputLimit, std::nullopt, 9)), 137);
  EXPECT_EQ(code(ended(model::OutcomeKind::kDenied, 1, std::nullopt)), 1);
  EXPECT_EQ(code(ended(model::OutcomeKind::kCpuTimeout, std::nullopt, 9)), 124);
}

TEST(AmonResultTest, BytesThatAreNoTextAreReplaced) {
  model::RunResult result = ended(model::OutcomeKind::kExited, 0, std::nullopt);
  result.stdout_bytes = "a\xff\xe2\x82";
  EXPECT_EQ(encode(result).at("stdout").as_string(), "a\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(AmonResultTest, OutputsOverALimitHaveTheTextsOfTheContract) {
  AmonLimits limits;
  limits.files_max = 2;
  limits.file_bytes_max = 2;
  limits.output_bytes_max = 3;
  model::RunResult result = ended(model::OutcomeKind::kExited, 0, std::nullopt);
  result.files = {{"a", "12"}, {"b", "1"}};
  EXPECT_EQ(refusal(result, limits), "accepted");
  result.files = {{"a", "12"}, {"b", "12"}};
  EXPECT_EQ(refusal(result, limits), "400 output files 總大小超過上限");
  result.files = {{"a", "123"}};
  EXPECT_EQ(refusal(result, limits), "400 output file 超過單檔上限");
  result.files = {{"a", ""}, {"b", ""}, {"c", ""}};
  EXPECT_EQ(refusal(result, limits), "400 output files 數量超過上限");
  result.files.clear();
  result.refused_files = {{"/output/l", "symbolic link"}};
  EXPECT_EQ(refusal(result, limits), "400 不允許 symlink output");
}

TEST(AmonResultTest, OutputsThatAreRefusedTakeNothingElseWithThem) {
  model::RunResult result = ended(model::OutcomeKind::kExited, 3, std::nullopt);
  result.stdout_bytes = "said\n";
  result.stderr_bytes = "warned\n";
  result.files = {{"a", "123"}};
  AmonLimits limits;
  limits.file_bytes_max = 2;
  const AmonAnswer answer = amon_answer(kIds, result, limits);
  EXPECT_EQ(answer.status, 400);
  const auto object = boost::json::parse(answer.body).as_object();
  EXPECT_EQ(object.at("detail").as_string(), "output file 超過單檔上限");
  EXPECT_EQ(object.at("stdout").as_string(), "said\n");
  EXPECT_EQ(object.at("stderr").as_string(), "warned\n");
  EXPECT_EQ(object.at("exit_code").as_int64(), 3);
  EXPECT_TRUE(object.at("output_files").as_array().empty());
}

TEST(AmonResultTest, WhatElseCouldNotBeGivenBackIsNamed) {
  model::RunResult result = ended(model::OutcomeKind::kExited, 0, std::nullopt);
  result.refused_files = {{"/output/p", "fifo"}};
  EXPECT_EQ(encode(result).at("stderr").as_string(),
            "\n[output] not given back: /output/p: fifo\n");
}

TEST(AmonResultTest, AProgramThatNeverRanIsAnErrorOfTheRunner) {
  EXPECT_EQ(refusal(ended(model::OutcomeKind::kSetupFailed, std::nullopt, std::nullopt)),
            "500 runner internal error");
  EXPECT_EQ(refusal(ended(model::OutcomeKind::kCancelled, std::nullopt, 9)),
            "500 runner internal error");
}

TEST(AmonResultTest, LogEventsHaveSortedKeys) {
  EXPECT_EQ(amon_start_event_json({.ids = kIds, .timeout_s = 7, .code_bytes = 5}),
            R"({"code_bytes":5,"event":"sandbox.run.start",)"
            R"("job_id":"0123456789abcdef0123456789abcdef","request_id":"r1","timeout_s":7})");
  AmonFinishEvent event;
  event.ids = {.job_id = "j", .request_id = "請求"};
  EXPECT_EQ(amon_finish_event_json(event),
            R"({"duration_ms":0,"event":"sandbox.run.finish","exit_code":-1,"input_bytes":0,)"
            R"("input_files":0,"job_id":"j","output_bytes":0,"output_files":0,)"
            R"("request_id":"請求","status":"error","timed_out":false})");
}

}  // namespace
}  // namespace airlock::http
