#include "http/run_request.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "http/fake_catalog.h"
#include "http/test_content.h"

namespace airlock::http {
namespace {

const RunCatalog& catalog() {
  static const auto instance = make_fake_catalog();
  return *instance;
}

ApiResult<ParsedRun> parse(std::string_view body, const RunLimitsPolicy& policy = {}) {
  return parse_run(body, catalog(), policy);
}

// A python program and these members: "\"stdin\":\"x\"".
std::string with(const std::string& members) {
  return R"({"language":"python","code":"",)" + members + "}";
}

// The error of a request that must not be accepted.
ApiError refusal(std::string_view body, const RunLimitsPolicy& policy = {}) {
  auto parsed = parse(body, policy);
  if (!parsed) return parsed.error();
  ADD_FAILURE() << "accepted: " << body;
  return {};
}

std::string message(std::string_view body, const RunLimitsPolicy& policy = {}) {
  return refusal(body, policy).message;
}

TEST(RunRequestTest, ASourceBecomesAFileAndACommand) {
  const auto parsed = parse(R"({"language":"py","code":"print 1","args":["a","b"]})");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  const runner::RunRequest& request = parsed->request;
  ASSERT_EQ(request.files.size(), 1u);
  EXPECT_EQ(request.files[0].path, "workspace/main.py");
  EXPECT_EQ(content_of(request.files[0].content.get()), "print 1");
  EXPECT_FALSE(request.spec.compile.has_value());
  EXPECT_EQ(request.spec.run.argv,
            (std::vector<std::string>{"/usr/bin/env", "python3", "/workspace/main.py", "a", "b"}));
  EXPECT_EQ(request.spec.run.limits.wall_time, std::chrono::seconds(20));
  EXPECT_EQ(request.spec.cwd, "/workspace");
  EXPECT_EQ(request.spec.seccomp_profile, "default");
  EXPECT_TRUE(std::ranges::count(request.spec.env, "PYTHONUNBUFFERED=1"));
  EXPECT_EQ(request.stdin_fd, -1);
  EXPECT_FALSE(request.terminal);
}

TEST(RunRequestTest, ALanguageWithACompilePhaseHasTwoCommands) {
  const auto parsed =
      parse(R"({"language":"c","code":"int main(){}","limits":{"wall_ms":100,"pids":7}})");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  const model::RunSpec& spec = parsed->request.spec;
  ASSERT_TRUE(spec.compile.has_value());
  EXPECT_EQ(spec.compile->argv,
            (std::vector<std::string>{"/usr/bin/env", "cc", "-o", "/workspace/main.bin",
                                      "/workspace/main.c"}));
  EXPECT_EQ(spec.compile->limits.wall_time, std::chrono::seconds(30));
  EXPECT_EQ(spec.run.argv, (std::vector<std::string>{"/workspace/main.bin"}));
  EXPECT_EQ(spec.run.limits.wall_time, std::chrono::milliseconds(100));
  EXPECT_EQ(spec.run.limits.pids, 7u);
}

TEST(RunRequestTest, EveryBuiltInLanguageGivesARunOrSaysWhatTheHostLacks) {
  auto table = language::LanguageTable::builtin();
  ASSERT_TRUE(table.has_value());
  const RunCatalog builtin(std::move(*table));
  ASSERT_FALSE(builtin.names().empty());
  for (const std::string& name : builtin.names()) {
    const auto parsed = parse_run(R"({"code":"","language":")" + name + "\"}", builtin, {});
    if (parsed) {
      EXPECT_EQ(parsed->request.files.size(), 1u) << name;
      EXPECT_FALSE(parsed->request.spec.run.argv.empty()) << name;
    } else {
      EXPECT_EQ(parsed.error().status, 503) << name << ": " << parsed.error().message;
    }
  }
}

TEST(RunRequestTest, ArgvRunsAFileThatCameWithIt) {
  for (const char* word : {"prog", "./prog", "/workspace/prog"}) {
    const auto parsed = parse(std::string(R"({"argv":[")") + word +
                              R"(","x"],"files":[{"path":"prog","content":"#!/bin/sh\n"},)"
                              R"({"path":"d/prog","content":""}]})");
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
    EXPECT_EQ(parsed->request.spec.run.argv, (std::vector<std::string>{word, "x"}));
    ASSERT_EQ(parsed->request.files.size(), 2u);
    EXPECT_TRUE(parsed->request.files[0].executable);
    EXPECT_FALSE(parsed->request.files[1].executable);
  }
}

TEST(RunRequestTest, TheProgramItselfCannotBeAskedNotToBeExecutable) {
  EXPECT_EQ(message(R"({"argv":["./p"],"files":[{"path":"p","content":"","executable":false}]})"),
            "files[0].executable is false, but argv[0] names this file");
}

TEST(RunRequestTest, ThereIsExactlyOneWayToSayWhatRuns) {
  EXPECT_EQ(message("{}"), "the request says nothing to run");
  EXPECT_EQ(message(R"({"language":"python"})"), "code is missing: the text of the program");
  EXPECT_EQ(refusal(R"({"code":"x"})").field, "language");
  EXPECT_EQ(message(R"({"language":"python","code":"","argv":["x"]})"),
            "argv cannot be combined with language and code");
  EXPECT_EQ(refusal(R"({"code":"","argv":["x"]})").field, "argv");
  EXPECT_EQ(message(R"({"argv":["x"],"args":["y"]})"), "args belongs to language and code");
  EXPECT_EQ(message(R"({"argv":[]})"), "argv is empty; its first word is the program");
  EXPECT_EQ(refusal(R"({"argv":[""]})").field, "argv[0]");
}

TEST(RunRequestTest, AnUnknownKeyIsRefusedWithTheNearestOne) {
  EXPECT_EQ(message(R"({"langage":"python","code":""})"),
            "unknown key \"langage\"; did you mean \"language\"?");
  EXPECT_EQ(message(with(R"("files":[{"path":"a","contnet":""}])")),
            "unknown key \"contnet\" in files[0]; did you mean \"content\"?");
  EXPECT_EQ(refusal(with(R"("network":{"mod":"none"})")).field, "network.mod");
}

TEST(RunRequestTest, WrongTypesAreNamedWithTheirPlace) {
  EXPECT_EQ(message("[]"), "the request is an array; it must be an object");
  EXPECT_EQ(refusal(R"({"language":1,"code":""})").field, "language");
  EXPECT_EQ(refusal(R"({"argv":"x"})").field, "argv");
  EXPECT_EQ(refusal(R"({"argv":["x",1]})").field, "argv[1]");
  EXPECT_EQ(refusal(with(R"("args":[null])")).field, "args[0]");
  EXPECT_EQ(refusal(with(R"("stdin":["x"])")).field, "stdin");
  EXPECT_EQ(refusal(with(R"("env":[])")).field, "env");
  EXPECT_EQ(refusal(with(R"("env":{"A":1})")).field, "env.A");
  EXPECT_EQ(refusal(with(R"("files":{})")).field, "files");
  EXPECT_EQ(refusal(with(R"("files":["a"])")).field, "files[0]");
  EXPECT_EQ(refusal(with(R"("outputs":"*")")).field, "outputs");
  EXPECT_EQ(refusal(with(R"("limits":5)")).field, "limits");
  EXPECT_EQ(refusal(with(R"("network":"none")")).field, "network");
}

TEST(RunRequestTest, WhatIsNoJsonIsRefused) {
  EXPECT_EQ(refusal("").code, "invalid_json");
  EXPECT_EQ(refusal("{} x").code, "invalid_json");
  EXPECT_EQ(refusal("{\"code\":\"\xff\"}").code, "invalid_json");
  EXPECT_EQ(message(R"({"code":"1","code":"2","language":"python"})"),
            "the body has the key \"code\" twice");
  EXPECT_EQ(refusal(std::string(100'000, '{')).code, "invalid_json");
}

TEST(RunRequestTest, AnUnknownLanguageIsAnErrorOfTheClientAndAMissingOneOfTheHost) {
  const ApiError unknown = refusal(R"({"language":"pyton","code":""})");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_EQ(unknown.message, "unknown language \"pyton\"; did you mean \"python\"?");
  EXPECT_EQ(unknown.field, "language");
  const ApiError missing = refusal(R"({"language":"cobol","code":""})");
  EXPECT_EQ(missing.status, 503);
  EXPECT_EQ(missing.code, "unavailable");
  EXPECT_EQ(missing.hint, "apt-get install gnucobol4");
  EXPECT_EQ(refusal(R"({"language":")" + std::string(5'000, 'x') + R"(","code":""})").status, 400);
}

TEST(RunRequestTest, StdinIsAFileThatIsReadFromItsStart) {
  const auto parsed = parse(with(R"("stdin":"a\u0000é")"));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->request.stdin_fd, parsed->stdin_content.get());
  EXPECT_EQ(offset_of(parsed->request.stdin_fd), 0);
  EXPECT_EQ(content_of(parsed->request.stdin_fd), std::string("a\0é", 4));
  EXPECT_TRUE(parse(with(R"("stdin":"")"))->stdin_content.valid());
}

TEST(RunRequestTest, EnvironmentWinsOverTheLanguageAndHasProperNames) {
  const auto parsed = parse(with(R"("env":{"PYTHONUNBUFFERED":"0","_a1":"b=c"})"));
  ASSERT_TRUE(parsed.has_value());
  const std::vector<std::string>& env = parsed->request.spec.env;
  EXPECT_TRUE(std::ranges::count(env, "PYTHONUNBUFFERED=0"));
  EXPECT_TRUE(std::ranges::count(env, "_a1=b=c"));
  EXPECT_TRUE(std::ranges::count(env, "HOME=/workspace"));
  for (const char* name : {"", "1a", "a b", "a=b", "a-b", "é", "a\\u0000"}) {
    EXPECT_EQ(refusal(with(std::string(R"("env":{")") + name + R"(":"x"})")).field, "env") << name;
  }
  EXPECT_EQ(message(with(R"("env":{"A":"x\u0000y"})")),
            "env.A contains a NUL character; no argument or variable can");
}

TEST(RunRequestTest, ArgumentsHaveNoNulAndFitTogether) {
  EXPECT_EQ(refusal(R"({"argv":["x","a\u0000b"]})").field, "argv[1]");
  EXPECT_EQ(refusal(with(R"("args":["a\u0000b"])")).field, "args[0]");
  const std::string large(model::kArgumentBytesMax.count(), 'x');
  EXPECT_TRUE(message(with(R"("args":[")" + large + R"("])"))
                  .starts_with("arguments and environment together have "));
  std::string many = "\"\"";
  for (std::uint32_t i = 0; i < model::kArgumentsMax; ++i) many += ",\"\"";
  EXPECT_EQ(message(with("\"args\":[" + many + "]")),
            "args has 4097 arguments; this server takes at most 4096");
}

TEST(RunRequestTest, FilesKeepTheirBytes) {
  const auto parsed =
      parse(with(R"("files":[{"path":"a/b.txt","content":"é\u0000"},{"path":"c","content":"/wD+",)"
                 R"("encoding":"base64","executable":true},{"path":"d","content":"",)"
                 R"("encoding":"utf8"}])"));
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  const auto& files = parsed->request.files;
  ASSERT_EQ(files.size(), 4u);
  EXPECT_EQ(files[1].path, "workspace/a/b.txt");
  EXPECT_EQ(content_of(files[1].content.get()), std::string("é\0", 3));
  EXPECT_FALSE(files[1].executable);
  EXPECT_EQ(content_of(files[2].content.get()), std::string("\xff\x00\xfe", 3));
  EXPECT_TRUE(files[2].executable);
  EXPECT_EQ(content_of(files[3].content.get()), "");
}

TEST(RunRequestTest, FilesCannotLeaveTheWorkspace) {
  for (const char* path : {"", "/etc/passwd", "/workspace/a", "../a", "a/../../b", "a/..", ".",
                           "..", "./a", "a//b", "a/", "a\\u0000b", "a\\nb", "\\u007f", "//"}) {
    const ApiError error =
        refusal(with(std::string(R"("files":[{"path":")") + path + R"(","content":""}])"));
    EXPECT_EQ(error.field, "files[0].path") << path;
    EXPECT_EQ(error.status, 400) << path;
  }
  for (const std::size_t length : {256u, model::kPathBytesMax}) {
    const std::string path(length, 'a');
    EXPECT_EQ(refusal(with(R"("files":[{"path":")" + path + R"(","content":""}])")).field,
              "files[0].path");
  }
}

TEST(RunRequestTest, TwoFilesCannotBeAtOnePlace) {
  const auto files = [](const std::string& first, const std::string& second) {
    return with(R"("files":[{"path":")" + first + R"(","content":""},{"path":")" + second +
                R"(","content":""}])");
  };
  EXPECT_EQ(message(files("a", "a")), "files[1].path \"a\" is given twice");
  EXPECT_EQ(refusal(files("a", "a/b")).field, "files[1].path");
  EXPECT_EQ(refusal(files("a/b", "a")).field, "files[1].path");
  EXPECT_EQ(message(with(R"("files":[{"path":"main.py","content":""}])")),
            "files[0].path \"main.py\" is given twice");
}

TEST(RunRequestTest, BrokenFilesAreRefused) {
  EXPECT_EQ(refusal(with(R"("files":[{"content":""}])")).field, "files[0].path");
  EXPECT_EQ(refusal(with(R"("files":[{"path":"a"}])")).field, "files[0].content");
  EXPECT_EQ(refusal(with(R"("files":[{"path":"a","content":"?","encoding":"base64"}])")).message,
            "files[0].content is not base64 of RFC 4648, padded and without line breaks");
  EXPECT_EQ(message(with(R"("files":[{"path":"a","content":"","encoding":"base46"}])")),
            "files[0].encoding is \"base46\"; it must be \"utf8\" or \"base64\"; did you mean "
            "\"base64\"?");
}

TEST(RunRequestTest, SizesAreBoundedByThePolicy) {
  RunLimitsPolicy policy;
  policy.code_bytes_max = policy.stdin_bytes_max = policy.file_bytes_max = base::ByteCount(4);
  policy.files_bytes_max = base::ByteCount(6);
  policy.files_max = 2;
  policy.outputs_max = 1;
  EXPECT_TRUE(parse(R"({"language":"python","code":"1234","stdin":"1234"})", policy).has_value());
  EXPECT_EQ(message(R"({"language":"python","code":"12345"})", policy),
            "code has 5 bytes; this server takes at most 4");
  EXPECT_EQ(refusal(with(R"("stdin":"12345")"), policy).field, "stdin");
  const auto file = [](const std::string& path, const std::string& content) {
    return R"({"path":")" + path + R"(","content":")" + content + "\"}";
  };
  EXPECT_EQ(refusal(with("\"files\":[" + file("a", "12345") + "]"), policy).field,
            "files[0].content");
  EXPECT_EQ(
      refusal(with("\"files\":[" + file("a", "1234") + "," + file("b", "123") + "]"), policy).field,
      "files");
  EXPECT_EQ(
      message(with("\"files\":[" + file("a", "") + "," + file("b", "") + "," + file("c", "") + "]"),
              policy),
      "files has 3 files; this server takes at most 2");
  EXPECT_EQ(refusal(with(R"("outputs":["a","b"])"), policy).field, "outputs");
  policy.body_bytes_max = base::ByteCount(1'024);
  EXPECT_EQ(refusal(with("\"stdin\":\"" + std::string(2'000, 'x') + "\""), policy).status, 413);
}

TEST(RunRequestTest, OutputsArePatternsBelowTheWorkspace) {
  const auto parsed = parse(with(R"("outputs":["out.txt","*.png","a/**"])"));
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  EXPECT_EQ(parsed->request.spec.collect, (std::vector<std::string>{"out.txt", "*.png", "a/**"}));
  EXPECT_FALSE(parsed->request.spec.collect_output_directory);
  for (const char* pattern : {"", "/etc/*", "../*", "a/../b", "a\\u0000"}) {
    EXPECT_EQ(refusal(with(std::string(R"("outputs":[")") + pattern + "\"]")).field, "outputs[0]");
  }
}

TEST(RunRequestTest, ThereIsNoNetworkUnlessItIsAskedForAndAllowed) {
  EXPECT_TRUE(parse(with(R"("network":{"mode":"none"})")).has_value());
  EXPECT_TRUE(parse(with(R"("network":{})")).has_value());
  EXPECT_EQ(parse(with(R"("network":{})"))->request.spec.network, model::NetworkMode::kNone);
  EXPECT_EQ(refusal(with(R"("network":{"mode":"gateway"})")).field, "network.mode");
  EXPECT_EQ(refusal(with(R"("network":{"allow":[]})")).field, "network.allow");
  EXPECT_EQ(message(with(R"("network":{"mode":"host"})")),
            "network.mode is \"host\"; it must be \"none\" or \"gateway\"");
}

TEST(RunRequestTest, AGatewayLeadsWithinWhatTheOperatorAllows) {
  RunLimitsPolicy policy;
  policy.egress = *egress::Policy::make({.allow = {".example.com", "pypi"}});
  policy.egress_budget.bytes_max = 77;
  const auto parsed =
      parse(with(R"("network":{"mode":"gateway","allow":["a.example.com"]})"), policy);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  const runner::RunRequest& request = parsed->request;
  EXPECT_EQ(request.spec.network, model::NetworkMode::kGateway);
  EXPECT_TRUE(request.egress.judge({"a.example.com", 443, false}).allowed);
  EXPECT_FALSE(request.egress.judge({"b.example.com", 443, false}).allowed);
  EXPECT_EQ(request.egress_budget.bytes_max, 77u);
  const auto all = parse(with(R"("network":{"mode":"gateway"})"), policy);
  ASSERT_TRUE(all.has_value()) << all.error().message;
  EXPECT_TRUE(all->request.egress.judge({"pypi.org", 443, false}).allowed);
  for (const char* allow : {"evil.org", "example.com", "10.0.0.1:80", "npm", "", "https://x.y/"}) {
    const std::string member =
        R"("network":{"mode":"gateway","allow":[")" + std::string(allow) + "\"]}";
    EXPECT_EQ(refusal(with(member), policy).field, "network.allow") << allow;
  }
}

TEST(RunRequestTest, IsolationIsAskedForByName) {
  const auto parsed = parse(with(R"("min_isolation":"container","seccomp_profile":"default")"));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->request.spec.min_isolation, model::IsolationLevel::kContainer);
  EXPECT_EQ(refusal(with(R"("min_isolation":"vm")")).field, "min_isolation");
  EXPECT_EQ(message(with(R"("seccomp_profile":"gpu")")),
            "seccomp_profile is \"gpu\"; this server allows: default");
  RunLimitsPolicy policy;
  policy.seccomp_profiles = {"default", "gpu"};
  EXPECT_EQ(parse(with(R"("seccomp_profile":"gpu")"), policy)->request.spec.seccomp_profile, "gpu");
}

TEST(RunRequestTest, AnImageIsOneOfTheOperators) {
  EXPECT_EQ(refusal(with(R"("image":"tools:1")")).field, "image") << "there is none";
  RunLimitsPolicy policy;
  policy.images = model::ImageList({"tools:1"});
  EXPECT_EQ(parse(with(R"("image":"docker:tools:1")"), policy)->request.spec.image, "tools:1");
  EXPECT_EQ(parse(with(R"("env":{})"), policy)->request.spec.image, "");
  EXPECT_EQ(refusal(with(R"("image":"tools:2")"), policy).field, "image");
  EXPECT_EQ(refusal(with(R"("image":["tools:1"])"), policy).field, "image");
}

TEST(RunRequestTest, TheMaximumOfTheOperatorHoldsForDefaultsToo) {
  RunLimitsPolicy policy;
  policy.limits_max.memory = base::mebibytes(100);
  policy.limits_max.wall_time = std::chrono::seconds(2);
  const auto source = parse(R"({"language":"javascript","code":""})", policy);
  ASSERT_TRUE(source.has_value());
  EXPECT_EQ(source->request.spec.run.limits.memory, base::mebibytes(100));
  EXPECT_EQ(source->request.spec.run.limits.wall_time, std::chrono::seconds(2));
  EXPECT_EQ(source->request.spec.run.argv.back(), "--heap=104857600");
  const auto argv = parse(R"({"argv":["/usr/bin/true"]})", policy);
  ASSERT_TRUE(argv.has_value());
  EXPECT_EQ(argv->request.spec.run.limits.memory, base::mebibytes(100));
  EXPECT_EQ(refusal(with(R"("limits":{"wall_ms":2001})"), policy).field, "limits.wall_ms");
}

}  // namespace
}  // namespace airlock::http
