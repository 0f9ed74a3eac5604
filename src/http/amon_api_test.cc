#include "http/amon_api.h"

#include <gtest/gtest.h>

#include "http/fake_catalog.h"
#include "http/test_content.h"
#include "http/text_encoding.h"

namespace airlock::http {
namespace {

const RunCatalog& catalog() {
  static const auto instance = make_fake_catalog();
  return *instance;
}

ApiResult<AmonRun> parse(std::string_view body, const AmonLimits& limits = {}) {
  return parse_amon_run(body, catalog(), limits);
}

// "400 text" of what must not be accepted.
std::string refusal(std::string_view body, const AmonLimits& limits = {}) {
  const auto parsed = parse(body, limits);
  if (parsed) return "accepted";
  return std::to_string(parsed.error().status) + " " + parsed.error().message;
}

std::string with_file(const std::string& path, const std::string& content_b64) {
  return R"({"language":"python","code":"","input_files":[{"path":")" + path +
         R"(","content_b64":")" + content_b64 + R"("}]})";
}

std::string path_of(std::string_view path) {
  auto normal = normalise_amon_path(path);
  return normal ? *normal : normal.error().message;
}

TEST(AmonApiTest, ARequestBecomesARunWithTheLimitsOfTheContract) {
  const auto parsed = parse(
      R"({"request_id":"r1","language":" Python ","code":"print 1","timeout_s":7,"other":[1],)"
      R"("input_files":[{"path":"d\\a.txt","content_b64":"aGk=","mode":5}]})");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  EXPECT_EQ(parsed->request_id, "r1");
  EXPECT_EQ(parsed->language, "python");
  EXPECT_EQ(parsed->timeout_s, 7);
  EXPECT_EQ(parsed->code_bytes, 7u);
  EXPECT_EQ(parsed->input_files, 1u);
  EXPECT_EQ(parsed->input_bytes, 2u);
  const runner::RunRequest& request = parsed->run.request;
  ASSERT_EQ(request.files.size(), 2u);
  EXPECT_EQ(request.files[0].path, "input/d/a.txt");
  EXPECT_EQ(content_of(request.files[0].content.get()), "hi");
  EXPECT_EQ(request.files[1].path, "workspace/main.py");
  EXPECT_EQ(content_of(request.files[1].content.get()), "print 1");
  const model::RunSpec& spec = request.spec;
  EXPECT_TRUE(spec.collect_output_directory);
  EXPECT_EQ(spec.cwd, kAmonWorkingDirectory);
  EXPECT_EQ(spec.run.limits.wall_time, std::chrono::seconds(7));
  EXPECT_EQ(spec.run.limits.memory, base::mebibytes(512));
  EXPECT_EQ(spec.run.limits.pids, 128u);
  EXPECT_EQ(spec.run.limits.cpu_rate_percent, 100u);
}

TEST(AmonApiTest, WhatIsLeftOutHasADefault) {
  const auto parsed = parse(R"({"language":"BASH"})");
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->timeout_s, 10);
  EXPECT_EQ(parsed->request_id, "");
  EXPECT_EQ(parsed->run.request.files[0].path, "workspace/main.sh");
}

TEST(AmonApiTest, WhatIsNoRequestIsUnprocessable) {
  for (const char* body :
       {"", "[]", "{", "nul", "\"x\"", "{\"code\":\"\xff\"}", R"({"language":5})",
        R"({"language":"python","code":[]})", R"({"language":"python","timeout_s":"10"})",
        R"({"language":"python","timeout_s":1.5})", R"({"language":"python","input_files":{}})",
        R"({"language":"python","input_files":["a"]})",
        R"({"language":"python","input_files":[{"path":1,"content_b64":""}]})"}) {
    EXPECT_TRUE(refusal(body).starts_with("422 ")) << body << ": " << refusal(body);
  }
  EXPECT_TRUE(refusal(R"({"code":"a","code":"b"})").starts_with("422 "));
}

TEST(AmonApiTest, WrongValuesHaveTheTextsOfTheContract) {
  EXPECT_EQ(refusal(R"({"language":"ruby"})"), "400 目前僅支援 language=python|bash");
  EXPECT_EQ(refusal("{}"), "400 目前僅支援 language=python|bash");
  for (const char* seconds : {"0", "121", "-5", "1e6"}) {
    EXPECT_EQ(refusal(std::string(R"({"language":"python","timeout_s":)") + seconds + "}"),
              "400 timeout_s 必須介於 1~120");
  }
  EXPECT_EQ(refusal(with_file("a", "x")), "400 input file 非法 base64: a");
  EXPECT_EQ(refusal(with_file("", "")), "400 path 不可為空");
  EXPECT_EQ(refusal(with_file("a\\u0000", "")), "400 path 不可包含 NUL");
  EXPECT_EQ(refusal(with_file("/a", "")), "400 不允許絕對路徑");
  EXPECT_EQ(refusal(with_file("../a", "")), "400 path 包含不合法 segment");
}

TEST(AmonApiTest, SizesAreInclusive) {
  AmonLimits limits;
  limits.code_bytes_max = 3;
  limits.files_max = 1;
  limits.file_bytes_max = 2;
  limits.input_bytes_max = 3;
  EXPECT_EQ(refusal(R"({"language":"python","code":"123"})", limits), "accepted");
  EXPECT_EQ(refusal(R"({"language":"python","code":"1234"})", limits), "400 code 大小超過上限");
  EXPECT_EQ(refusal(with_file("a", base64("12")), limits), "accepted");
  EXPECT_EQ(refusal(with_file("a", base64("123")), limits), "400 input file 超過單檔上限: a");
  const std::string two =
      R"({"language":"python","input_files":[)"
      R"({"path":"a","content_b64":"MTI="},{"path":"b","content_b64":"MTI="}]})";
  EXPECT_EQ(refusal(two, limits), "400 input_files 數量超過上限");
  limits.files_max = 2;
  EXPECT_EQ(refusal(two, limits), "400 input_files 總大小超過上限");
  limits.input_bytes_max = 4;
  EXPECT_EQ(refusal(two, limits), "accepted");
  limits.body_bytes_max = 10;
  EXPECT_TRUE(refusal(two, limits).starts_with("413 "));
}

TEST(AmonApiTest, PathsAreNormalisedAsTheServerDoes) {
  EXPECT_EQ(path_of(" a//b "), "a/b");
  EXPECT_EQ(path_of("a/./b"), "a/b");
  EXPECT_EQ(path_of("./a"), "a");
  EXPECT_EQ(path_of("a/"), "a");
  EXPECT_EQ(path_of("a\\b"), "a/b");
  EXPECT_EQ(path_of("~/x"), "~/x");
  EXPECT_EQ(path_of("-rf"), "-rf");
  EXPECT_EQ(path_of("資料.csv"), "資料.csv");
}

TEST(AmonApiTest, PathsThatLeadElsewhereAreRefused) {
  EXPECT_EQ(path_of("  "), "path 不可為空");
  EXPECT_EQ(path_of("\\a"), "不允許絕對路徑");
  EXPECT_EQ(path_of("C:/x"), "不允許絕對路徑");
  EXPECT_EQ(path_of("c:\\x"), "不允許絕對路徑");
  for (const char* path : {"..", ".", "./.", "a/..", "a\\..\\..\\b", "a/../b", "a\nb"}) {
    EXPECT_EQ(path_of(path), "path 包含不合法 segment") << path;
  }
}

TEST(AmonApiTest, TwoFilesCannotBeAtOnePlace) {
  EXPECT_EQ(refusal(R"({"language":"python","input_files":[{"path":"a","content_b64":""},)"
                    R"({"path":"./a","content_b64":""}]})"),
            "400 path 重複: a");
}

TEST(AmonApiTest, ErrorsHaveTheShapeOfTheContract) {
  EXPECT_EQ(amon_error_json(parse("{}").error()),
            R"({"detail":"目前僅支援 language=python|bash"})");
}

}  // namespace
}  // namespace airlock::http
