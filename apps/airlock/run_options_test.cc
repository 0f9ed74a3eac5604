#include "apps/airlock/run_options.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace airlock::apps {
namespace {

using Words = std::vector<std::string>;

RunOptions parsed(Words words) {
  auto result = parse_run_options(std::move(words));
  EXPECT_TRUE(result) << result.error().to_string();
  return result ? std::get<RunOptions>(*result) : RunOptions{};
}

// Message and hint together.
std::string refused(Words words) {
  const auto result = parse_run_options(std::move(words));
  EXPECT_FALSE(result);
  return result ? "" : result.error().message + " | " + result.error().hint;
}

void expect_mentions(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(RunOptionsTest, ProgramAndItsArguments) {
  const RunOptions options = parsed({"prog.py", "--", "a", "--timeout", "--", "-x"});
  EXPECT_EQ(options.program, "prog.py");
  EXPECT_EQ(options.args, (Words{"a", "--timeout", "--", "-x"}));
  EXPECT_FALSE(options.limits.wall_time.has_value());
}

TEST(RunOptionsTest, EveryLimitIsTaken) {
  const RunOptions options = parsed(
      {"--timeout", "2s", "--cpu-time=500ms", "--memory", "64m", "--pids", "7", "--disk", "2m",
       "--output-limit", "1k", "--inodes", "100", "--open-files", "32", "--cpus", "1.5", "x"});
  EXPECT_EQ(options.limits.wall_time, std::chrono::milliseconds(2000));
  EXPECT_EQ(options.limits.cpu_time, std::chrono::milliseconds(500));
  EXPECT_EQ(options.limits.memory, base::mebibytes(64));
  EXPECT_EQ(options.limits.pids, 7u);
  EXPECT_EQ(options.limits.disk, base::mebibytes(2));
  EXPECT_EQ(options.limits.output, base::kibibytes(1));
  EXPECT_EQ(options.limits.inodes, 100u);
  EXPECT_EQ(options.limits.open_files, 32u);
  EXPECT_EQ(options.limits.cpu_rate_percent, 150u);
}

TEST(RunOptionsTest, LimitErrorsNameTheFlagAndTheValue) {
  expect_mentions(refused({"--timeout", "10x", "p"}), "--timeout \"10x\"");
  expect_mentions(refused({"--memory", "1k", "p"}), "--memory \"1k\"");
  expect_mentions(refused({"--pids", "0", "p"}), "--pids \"0\"");
  expect_mentions(refused({"--pids", "99999999999", "p"}), "--pids");
  expect_mentions(refused({"--disk", "-5m", "p"}), "--disk");
  for (const char* cores : {"0", "-1", "1x", "nan", "1025", "0.001"}) {
    expect_mentions(refused({"--cpus", cores, "p"}), std::string("--cpus \"") + cores + "\"");
  }
}

TEST(RunOptionsTest, UnknownOptionNamesTheNearest) {
  expect_mentions(refused({"--timeot", "5s", "p"}), "did you mean --timeout?");
  expect_mentions(refused({"p", "--frobnicate"}), "comes after --");
}

TEST(RunOptionsTest, ArgumentsWithoutSeparatorAreRefused) {
  expect_mentions(refused({"p", "arg"}), "airlock run PROGRAM -- arg");
}

TEST(RunOptionsTest, FilesMayHaveAPlaceInside) {
  const RunOptions options =
      parsed({"--file", "/data/a.csv", "--file", "b.csv:in/c.csv", "--file", "d:dir/", "p"});
  ASSERT_EQ(options.files.size(), 3u);
  EXPECT_EQ(options.files[0].inside, "a.csv");
  EXPECT_EQ(options.files[1].host, "b.csv");
  EXPECT_EQ(options.files[1].inside, "in/c.csv");
  EXPECT_EQ(options.files[2].inside, "dir/d");
}

TEST(RunOptionsTest, FilesCannotLeadOut) {
  expect_mentions(refused({"--file", "a:/etc/passwd", "p"}), "is absolute");
  expect_mentions(refused({"--file", "a:../x", "p"}), "\"..\"");
  expect_mentions(refused({"--file", ":x", "p"}), "names no file");
}

TEST(RunOptionsTest, EnvironmentIsNameAndValue) {
  EXPECT_EQ(parsed({"--env", "A=b=c", "-e", "_x1=", "p"}).env, (Words{"A=b=c", "_x1="}));
  expect_mentions(refused({"--env", "HOME", "p"}), "--env HOME=\"$HOME\"");
  expect_mentions(refused({"--env", "1A=x", "p"}), "--env \"1A=x\"");
  expect_mentions(refused({"--env", "=x", "p"}), "NAME=value");
}

TEST(RunOptionsTest, ChoicesAreListed) {
  EXPECT_EQ(parsed({"--min-isolation", "container", "p"}).min_isolation,
            model::IsolationLevel::kContainer);
  expect_mentions(refused({"--min-isolation", "vm", "p"}), "process, container, kernel");
  expect_mentions(refused({"--seccomp", "off", "p"}), "default, gpu");
}

TEST(RunOptionsTest, AServiceOfThisMachineIsAskedForThroughTheGateway) {
  EXPECT_EQ(parsed({"--allow", "10.0.0.1:80", "p"}).env, Words{});
  const Words v4 = parsed({"--allow", "127.0.0.1:80", "--env", "NO_PROXY=x", "p"}).env;
  ASSERT_EQ(v4.size(), 4u);
  EXPECT_NE(std::ranges::find(v4, "no_proxy=localhost,::1"), v4.end());
  EXPECT_EQ(v4.back(), "NO_PROXY=x");  // of one name the last counts
  const Words both = parsed({"--allow", "127.0.0.1:80", "--allow", "[::1]:80", "p"}).env;
  EXPECT_NE(std::ranges::find(both, "NO_PROXY=localhost"), both.end());
}

TEST(RunOptionsTest, TheSandboxItselfIsNowhereToBeAllowed) {
  expect_mentions(refused({"--allow", "localhost:8080", "p"}), "--allow 127.0.0.1:8080");
  expect_mentions(refused({"--allow", "localhost", "p"}), "--allow 127.0.0.1:PORT");
  expect_mentions(refused({"--allow", "tcp://localhost:22", "p"}), "--allow 127.0.0.1:22");
}

TEST(RunOptionsTest, WhatCannotWorkTogetherIsRefused) {
  expect_mentions(refused({"-"}), "--language");
  EXPECT_EQ(parsed({"-", "--language", "python"}).program, "-");
  expect_mentions(refused({"p", "--collect", "*.txt"}), "--output DIR or --json");
  expect_mentions(refused({}), "no PROGRAM");
}

TEST(RunOptionsTest, HelpIsTextAndBelongsToTheProgramAfterTheSeparator) {
  const auto help = parse_run_options({"p", "--help"});
  ASSERT_TRUE(help);
  expect_mentions(std::get<HelpText>(*help).text, "--output-limit");
  EXPECT_EQ(parsed({"p", "--", "--help"}).args, Words{"--help"});
}

}  // namespace
}  // namespace airlock::apps
