#include "source/git_names.h"

#include <gtest/gtest.h>

#include <random>

#include "source/test_repository.h"

namespace airlock::source {
namespace {

bool is_branch(std::string_view name) { return check_branch(name).has_value(); }

TEST(BranchTest, OrdinaryNamesAreTaken) {
  for (const char* name : {"main", "feature/x-1", "release_2.0", "v1", "a@b", "ünï", "a{b}", "x.y",
                           "heads", "refs/heads/main"}) {
    EXPECT_TRUE(is_branch(name)) << name;
  }
}

TEST(BranchTest, NamesThatAreOptionsOrRevisionsAreRefused) {
  for (const std::string_view name : {std::string_view(""),
                                      std::string_view("-u"),
                                      std::string_view("--upload-pack=id"),
                                      std::string_view("a..b"),
                                      std::string_view("a~1"),
                                      std::string_view("a^"),
                                      std::string_view("a:b"),
                                      std::string_view("a b"),
                                      std::string_view("a\nb"),
                                      std::string_view("a\0b", 3),
                                      std::string_view("@"),
                                      std::string_view("@{-1}"),
                                      std::string_view("HEAD"),
                                      std::string_view("a*"),
                                      std::string_view(".a"),
                                      std::string_view("a/.b"),
                                      std::string_view("a.lock"),
                                      std::string_view("a.lock/b"),
                                      std::string_view("/a"),
                                      std::string_view("a/"),
                                      std::string_view("a//b"),
                                      std::string_view("a."),
                                      std::string_view("a\\b"),
                                      std::string_view("\xff")}) {
    EXPECT_FALSE(is_branch(name)) << name;
  }
  EXPECT_FALSE(is_branch(std::string(300, 'a')));
}

// Git itself is asked about every name made of what its rules are about.
TEST(BranchTest, WhatIsTakenIsWhatGitTakes) {
  constexpr std::string_view kPieces[] = {"a",  "/",    ".", "..", ".lock", "@", "{",   "@{",
                                          "-",  "HEAD", "~", "^",  ":",     "?", "*",   "[",
                                          "\\", "\x7f", "é", "\t", " ",     "+", "main"};
  std::mt19937 random(7);
  std::uniform_int_distribution<std::size_t> pick(0, std::size(kPieces) - 1);
  for (int i = 0; i < 250; ++i) {
    std::string name;
    const std::size_t pieces = 1 + pick(random) % 4;
    for (std::size_t p = 0; p < pieces; ++p) name += kPieces[pick(random)];
    const bool git_takes =
        run_command({"git", "check-ref-format", "refs/heads/" + name}, {}, "/").status == 0;
    const bool special = name.starts_with('-') || name == "HEAD" || name == "@";
    EXPECT_EQ(is_branch(name), git_takes && !special) << name;
  }
}

TEST(CommitTest, SevenToSixtyFourHexadecimalDigits) {
  EXPECT_EQ(parse_commit("ABCDEF1").value(), "abcdef1");
  EXPECT_TRUE(parse_commit(std::string(40, 'a')).has_value());
  EXPECT_TRUE(parse_commit(std::string(64, '0')).has_value());
  for (const char* text : {"", "abcdef", "main", "-abcdef1", "abcdef1^", "abcdef1 ", "abcdefg"}) {
    EXPECT_FALSE(parse_commit(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_commit(std::string(65, 'a')).has_value());
}

TEST(RepoPathTest, IsAFolderBelowTheRoot) {
  EXPECT_EQ(parse_repo_path("").value(), "");
  EXPECT_EQ(parse_repo_path("a/b/").value(), "a/b");
  for (const char* path : {"/", "/a", "..", "a/../b", "./a", "a//b", ".git", "a/.GIT/x", "-a",
                           "a/-b", "a\nb", "a\\b", "\xff"}) {
    EXPECT_FALSE(parse_repo_path(path).has_value()) << path;
  }
  EXPECT_FALSE(parse_repo_path(std::string(256, 'a')).has_value());
}

TEST(ResolvedCommitTest, IsOneFullNameThatWasAskedFor) {
  const std::string full(40, 'b');
  EXPECT_EQ(parse_resolved_commit(full + "\n", "").value(), full);
  EXPECT_EQ(parse_resolved_commit(full, "bbbbbbb").value(), full);
  EXPECT_FALSE(parse_resolved_commit(full, "aaaaaaa").has_value());
  for (const std::string& text : {std::string(), std::string("HEAD"), full + "\n" + full,
                                  std::string(39, 'b'), full + " ", std::string(40, 'B')}) {
    EXPECT_FALSE(parse_resolved_commit(text, "").has_value()) << text;
  }
}

}  // namespace
}  // namespace airlock::source
