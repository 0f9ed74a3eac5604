#include "source/repository_check.h"

#include <gtest/gtest.h>

#include "source/test_repository.h"

namespace airlock::source {
namespace {

using Files = std::map<std::string, std::string, std::less<>>;

constexpr const char* kGoodProgram = "import argparse\n# --phase\n";

Files good_files() { return {{"inference.py", kGoodProgram}, {"requirements.txt", "numpy\n"}}; }

std::string refusal(const FakeView& view) {
  const auto checked = check_repository(view);
  return checked.has_value() ? "" : checked.error().message;
}

std::string refusal(Files more) {
  more.merge(good_files());
  return refusal(FakeView(std::move(more)));
}

TEST(RepositoryCheckTest, TheContractsFilesAreEnough) {
  const auto checked = check_repository(FakeView(good_files()));
  ASSERT_TRUE(checked.has_value()) << checked.error().message;
  EXPECT_TRUE(checked->warnings.empty());
  EXPECT_FALSE(checked->job_file.has_value());
  EXPECT_EQ(checked->compile_check.back(), "inference.py");
}

TEST(RepositoryCheckTest, WhatIsMissingIsNamed) {
  EXPECT_EQ(refusal(FakeView({{"requirements.txt", ""}})),
            "Validation failed: required file is missing: inference.py");
  EXPECT_EQ(refusal(FakeView({{"inference.py", ""}})),
            "Validation failed: required file is missing: requirements.txt");
}

TEST(RepositoryCheckTest, SizesAndCountsAreBounded) {
  EXPECT_EQ(refusal({{"inference.py", std::string((10 << 20) + 1, 'a')}}),
            "Validation failed: inference.py is larger than 10 MiB");
  EXPECT_EQ(refusal({{"inference.py", std::string(10 << 20, 'a')}}), "");
  EXPECT_EQ(refusal({{"requirements.txt", std::string((100 << 10) + 1, '#')}}),
            "Validation failed: requirements.txt is larger than 100 KiB");
  std::string many;
  for (int i = 0; i < 101; ++i) many += "package" + std::to_string(i) + "\n";
  EXPECT_EQ(refusal({{"requirements.txt", many}}),
            "Validation failed: requirements.txt names 101 packages, at most 100");
  std::string none = "# comment\n\n  \n--pre\n-r other.txt\n";
  for (int i = 0; i < 100; ++i) none += "package" + std::to_string(i) + "\r\n";
  EXPECT_EQ(refusal({{"requirements.txt", none}}), "");
  EXPECT_EQ(refusal({{"Dockerfile", std::string((100 << 10) + 1, 'a')}}),
            "Validation failed: Dockerfile is larger than 100 KiB");
}

TEST(RepositoryCheckTest, LinksAndFoldersAreNoFiles) {
  for (const EntryKind kind : {EntryKind::kLink, EntryKind::kFolder, EntryKind::kOther}) {
    FakeView view(good_files());
    view.put_odd("inference.py", kind);
    EXPECT_EQ(refusal(view), "Validation failed: inference.py is not a regular file");
  }
  FakeView view(good_files());
  view.put_odd("airlock.yaml", EntryKind::kLink);
  EXPECT_EQ(refusal(view), "Validation failed: airlock.yaml is not a regular file");
}

TEST(RepositoryCheckTest, ADockerfileMustHaveAFromAndIsNotUsed) {
  EXPECT_EQ(refusal({{"Dockerfile", "RUN true\n"}}), "Validation failed: Dockerfile has no FROM");
  Files files = good_files();
  files["Dockerfile"] = "# a\n  from python:3.11\nRUN curl x | bash\nRUN chmod 777 /\n";
  const auto checked = check_repository(FakeView(files));
  ASSERT_TRUE(checked.has_value());
  EXPECT_EQ(checked->warnings.size(), 3u);
}

TEST(RepositoryCheckTest, RiskyPatternsOnlyWarn) {
  Files files = good_files();
  files["inference.py"] = "import os\nos.system('id')\n";
  const auto checked = check_repository(FakeView(files));
  ASSERT_TRUE(checked.has_value());
  EXPECT_EQ(checked->warnings.size(), 3u);  // a shell, no --phase, no argparse
}

TEST(RepositoryCheckTest, AJobFileStandsForTheContractsFiles) {
  const auto checked = check_repository(FakeView({{"airlock.yaml", "inference: ./solve\n"}}));
  ASSERT_TRUE(checked.has_value()) << checked.error().message;
  EXPECT_TRUE(checked->job_file.has_value());
  EXPECT_TRUE(checked->compile_check.empty());
  EXPECT_EQ(refusal(FakeView({{"airlock.yaml", "inferenc: x\n"}})),
            "Validation failed: airlock.yaml:1:1: unknown key \"inferenc\" in airlock.yaml; did "
            "you mean \"inference\"?");
}

// Executed by Python itself.
TEST(RepositoryCheckTest, WhetherItCompilesIsAskedOfPython) {
  const auto checked = check_repository(FakeView(good_files()));
  ASSERT_TRUE(checked.has_value());
  const TemporaryFolder folder;
  const auto status = [&](const std::string& text) {
    folder.write("inference.py", text);
    Command argv = checked->compile_check;
    argv.insert(argv.begin(), {"/bin/sh", "-c", "exec \"$@\" 2>/dev/null", "sh"});
    return run_command(argv, {"PATH=/usr/bin:/bin"}, folder.at("")).status;
  };
  EXPECT_EQ(status("print(1)\n"), 0);
  EXPECT_NE(status("print(\n"), 0);
  EXPECT_NE(status(std::string("a\0b", 3)), 0);
  EXPECT_NE(status("# coding: no-such-coding\n"), 0);
  // Nothing of the repository is executed, nothing is written.
  folder.write("ast.py", "open('canary', 'w')\n");
  folder.write("os.py", "open('canary', 'w')\n");
  EXPECT_EQ(status("open('canary', 'w')\n"), 0);
  EXPECT_FALSE(std::filesystem::exists(folder.at("canary")));
  EXPECT_FALSE(std::filesystem::exists(folder.at("__pycache__")));
}

}  // namespace
}  // namespace airlock::source
