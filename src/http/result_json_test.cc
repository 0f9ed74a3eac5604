#include "http/result_json.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "http/text_encoding.h"

namespace airlock::http {
namespace {

boost::json::object encode(const model::RunResult& result) {
  return boost::json::parse(result_json(result)).as_object();
}

model::RunResult exited(int code) {
  model::RunResult result;
  result.outcome.kind = model::OutcomeKind::kExited;
  result.outcome.exit_code = code;
  return result;
}

std::vector<std::string> keys(const boost::json::object& object) {
  std::vector<std::string> names;
  for (const auto& entry : object) names.emplace_back(entry.key());
  return names;
}

TEST(ResultJsonTest, KeysAreThoseOfTheContract) {
  const auto object = encode(exited(0));
  EXPECT_EQ(keys(object),
            (std::vector<std::string>{"outcome", "exit_code", "signal", "detail", "stdout",
                                      "stderr", "encoding", "stdout_truncated", "stderr_truncated",
                                      "limits_hit", "files", "usage", "isolation", "denied"}));
  EXPECT_EQ(keys(object.at("usage").as_object()),
            (std::vector<std::string>{"wall_ms", "user_ms", "system_ms", "memory_peak_bytes",
                                      "pids_peak"}));
  EXPECT_EQ(keys(object.at("isolation").as_object()),
            (std::vector<std::string>{"backend", "level", "tier", "cgroup", "network", "seccomp",
                                      "rootless", "missing"}));
}

TEST(ResultJsonTest, PlainExitHasNeitherSignalNorDetail) {
  const auto object = encode(exited(3));
  EXPECT_EQ(object.at("outcome").as_string(), "exited");
  EXPECT_EQ(object.at("exit_code").as_int64(), 3);
  EXPECT_TRUE(object.at("signal").is_null());
  EXPECT_TRUE(object.at("detail").is_null());
}

TEST(ResultJsonTest, SignalHasItsNameAndNoExitCode) {
  model::RunResult result;
  result.outcome = {.kind = model::OutcomeKind::kSignalled,
                    .exit_code = std::nullopt,
                    .signal = 11,
                    .detail = "ended by SIGSEGV",
                    .limits_hit = {model::LimitKind::kDisk}};
  const auto object = encode(result);
  EXPECT_EQ(object.at("signal").as_string(), "SIGSEGV");
  EXPECT_TRUE(object.at("exit_code").is_null());
  EXPECT_EQ(object.at("limits_hit").as_array().at(0).as_string(), "disk");
}

TEST(ResultJsonTest, OneStreamThatIsNoTextMakesBothBase64) {
  model::RunResult result = exited(0);
  result.stdout_bytes = "abc";
  result.stderr_bytes = "\xff";
  const auto object = encode(result);
  EXPECT_EQ(object.at("encoding").as_string(), "base64");
  EXPECT_EQ(object.at("stdout").as_string(), "YWJj");
  EXPECT_EQ(object.at("stderr").as_string(), "/w==");
}

TEST(ResultJsonTest, NulAndEscapesSurvive) {
  model::RunResult result = exited(0);
  result.stdout_bytes = std::string("a\0\x1b[m\"\\", 7);
  EXPECT_EQ(encode(result).at("stdout").as_string(), std::string_view("a\0\x1b[m\"\\", 7));
}

TEST(ResultJsonTest, CharacterCutByTheOutputLimitDoesNotTurnTextIntoBase64) {
  model::RunResult result = exited(0);
  result.stdout_bytes = "caf\xc3";
  result.stdout_truncated = true;
  const auto object = encode(result);
  EXPECT_EQ(object.at("encoding").as_string(), "utf8");
  EXPECT_EQ(object.at("stdout").as_string(), "caf");
}

TEST(ResultJsonTest, CompileIsAResultObjectOfItsOwn) {
  model::RunResult result = exited(0);
  result.compile = std::make_unique<model::RunResult>(exited(1));
  EXPECT_EQ(encode(result).at("compile").as_object().at("exit_code").as_int64(), 1);
}

TEST(ResultJsonTest, FilesHaveAnEncodingEach) {
  model::RunResult result = exited(0);
  result.files = {{"a.txt", "abc"}, {"b.bin", "\x80"}};
  result.refused_files = {{"link", "symbolic link"}};
  const auto object = encode(result);
  const auto& files = object.at("files").as_array();
  EXPECT_EQ(files.at(0).as_object().at("content").as_string(), "abc");
  EXPECT_EQ(files.at(0).as_object().at("size").as_int64(), 3);
  EXPECT_EQ(files.at(1).as_object().at("encoding").as_string(), "base64");
  EXPECT_EQ(object.at("refused_files").as_array().size(), 1u);
}

TEST(ResultJsonTest, UsageIsInMillisecondsAndNullWhereNotObserved) {
  model::RunResult result = exited(0);
  result.usage.wall = std::chrono::microseconds(1250);
  result.usage.memory_peak = base::ByteCount(4096);
  const auto usage = encode(result).at("usage").as_object();
  EXPECT_DOUBLE_EQ(usage.at("wall_ms").as_double(), 1.25);
  EXPECT_EQ(usage.at("memory_peak_bytes").to_number<std::uint64_t>(), 4096u);
  EXPECT_TRUE(usage.at("pids_peak").is_null());
}

TEST(TextEncodingTest, MalformedUtf8IsRecognised) {
  for (const char* text : {"", "a", "é", "€", "😀", "\xf4\x8f\xbf\xbf"}) EXPECT_TRUE(is_utf8(text));
  for (const char* text :
       {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff"}) {
    EXPECT_FALSE(is_utf8(text));
  }
}

TEST(TextEncodingTest, Base64IsThatOfTheRfc) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
}

TEST(ResultJsonTest, WhatEscapingWouldBlowUpIsBase64) {
  model::RunResult result;
  result.stdout_bytes = std::string(1'000'000, '\x01');
  const std::string json = result_json(result);
  EXPECT_LT(json.size(), 1'500'000u);
  EXPECT_NE(json.find("\"encoding\":\"base64\""), std::string::npos);
  result.stdout_bytes = "\x1b[31mred\x1b[0m";
  EXPECT_NE(result_json(result).find("\"encoding\":\"utf8\""), std::string::npos);
}

}  // namespace
}  // namespace airlock::http
