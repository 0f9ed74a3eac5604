#include "language/toolchain_search.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "language/language_table.h"

namespace airlock::language {
namespace {

namespace fs = std::filesystem;

// A host of its own: /usr is TREE/usr, PATH is TREE/usr/local/bin:TREE/usr/bin:TREE/bin.
class ToolchainSearchTest : public testing::Test {
 protected:
  ToolchainSearchTest() {
    std::string name = testing::TempDir() + "/toolsXXXXXX";
    root_ = fs::canonical(::mkdtemp(name.data()));
    for (const char* folder :
         {"usr/local/bin", "usr/bin", "usr/lib/java/bin", "etc/alternatives", "home/bin"}) {
      fs::create_directories(root_ / folder);
    }
    fs::create_directory_symlink("usr/bin", root_ / "bin");
    options_.visible_tree = at("usr");
    options_.path = at("usr/local/bin") + ":" + at("usr/bin") + ":" + at("bin");
  }
  ~ToolchainSearchTest() override { fs::remove_all(root_); }

  std::string at(const std::string& path) const { return (root_ / path).string(); }

  void add_program(const std::string& path, const std::string& script = "#!/bin/sh\n") {
    std::ofstream(at(path)) << script;
    fs::permissions(at(path), fs::perms::owner_all);
  }

  fs::path root_;
  ToolSearchOptions options_;
};

Language make_language(std::vector<Toolchain> toolchains) {
  Language language;
  language.name = "klingon";
  language.toolchains = std::move(toolchains);
  return language;
}

Toolchain make_toolchain(std::string name, std::vector<Tool> tools) {
  Toolchain toolchain;
  toolchain.name = std::move(name);
  toolchain.version = {tools.front().executable, "--version"};
  toolchain.tools = std::move(tools);
  return toolchain;
}

TEST_F(ToolchainSearchTest, TheFirstFolderOfThePathWins) {
  add_program("usr/bin/tool");
  EXPECT_EQ(*find_tool("tool", options_), at("usr/bin/tool"));
  add_program("usr/local/bin/tool");
  EXPECT_EQ(*find_tool("tool", options_), at("usr/local/bin/tool"));
}

TEST_F(ToolchainSearchTest, ALinkThatStaysVisibleKeepsItsName) {
  add_program("usr/bin/tool-12");
  fs::create_symlink("tool-12", at("usr/bin/tool"));
  EXPECT_EQ(*find_tool("tool", options_), at("usr/bin/tool"));
}

TEST_F(ToolchainSearchTest, ALinkThroughAHiddenFolderIsFollowedToItsEnd) {
  add_program("usr/lib/java/bin/java");
  fs::create_symlink(at("usr/lib/java/bin/java"), at("etc/alternatives/java"));
  fs::create_symlink(at("etc/alternatives/java"), at("usr/bin/java"));
  EXPECT_EQ(*find_tool("java", options_), at("usr/lib/java/bin/java"));
}

TEST_F(ToolchainSearchTest, WhatLiesOutsideTheVisibleTreeIsMissingAndSaysSo) {
  add_program("home/bin/tool");
  fs::create_symlink(at("home/bin/tool"), at("usr/bin/tool"));
  EXPECT_FALSE(find_tool("tool", options_));
  const Language language = make_language({make_toolchain("T", {{"tool", "tool-package"}})});
  const auto required = require_toolchain(language, options_);
  ASSERT_FALSE(required);
  EXPECT_EQ(required.error().code, base::ErrorCode::kUnavailable);
  EXPECT_NE(required.error().message.find(at("usr/bin/tool") + " exists, but a sandbox sees only"),
            std::string::npos);
  EXPECT_EQ(required.error().hint, "apt-get install tool-package");
}

TEST_F(ToolchainSearchTest, TheCallersPathIsOnlyMentioned) {
  add_program("home/bin/tool");
  options_.caller_path = at("home/bin") + ":relative:";
  const auto gap = find_toolchain(make_language({make_toolchain("T", {{"tool", "p"}})}), options_);
  ASSERT_FALSE(gap);
  ASSERT_EQ(gap.error().missing.size(), 1u);
  EXPECT_EQ(gap.error().missing[0].note,
            at("home/bin/tool") + " exists, but a sandbox sees only " + at("usr"));
}

TEST_F(ToolchainSearchTest, WhatIsNoProgramDoesNotCount) {
  std::ofstream(at("usr/bin/text")) << "not executable";
  fs::create_directory(at("usr/bin/folder"));
  fs::create_symlink("loop", at("usr/bin/loop"));
  fs::create_symlink("/nonexistent", at("usr/bin/dangling"));
  for (const char* name : {"text", "folder", "loop", "dangling", "absent"}) {
    EXPECT_FALSE(find_tool(name, options_)) << name;
  }
}

TEST_F(ToolchainSearchTest, TheFirstCompleteToolchainWins) {
  add_program("usr/bin/second");
  add_program("usr/bin/third");
  const Language language = make_language({make_toolchain("1", {{"first", "p"}, {"second", "p"}}),
                                           make_toolchain("2", {{"second", "p"}}),
                                           make_toolchain("3", {{"third", "p"}})});
  const auto found = find_toolchain(language, options_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->toolchain, &language.toolchains[1]);
  EXPECT_EQ(found->paths.at("second"), at("usr/bin/second"));
}

TEST_F(ToolchainSearchTest, AVersionThatIsTooOldDoesNotCount) {
  add_program("usr/bin/tool", "#!/bin/sh\necho v20.1\n");
  std::vector<Toolchain> toolchains = {make_toolchain("new", {{"tool", "p"}}),
                                       make_toolchain("old", {{"tool", "p"}})};
  toolchains[0].version_min = Version::find_in("22.6");
  toolchains[1].version_min = Version::find_in("20.1");
  const Language language = make_language(toolchains);
  const auto found = find_toolchain(language, options_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->toolchain->name, "old");
  EXPECT_EQ(found->version->to_string(), "20.1");

  toolchains.pop_back();
  const auto required = require_toolchain(make_language(toolchains), options_);
  ASSERT_FALSE(required);
  EXPECT_EQ(required.error().message,
            "klingon cannot run on this host (tool is 20.1, and 22.6 or newer is needed)");
}

TEST_F(ToolchainSearchTest, TheGapIsThatOfTheToolchainThatIsEasiestToBring) {
  add_program("usr/bin/node", "#!/bin/sh\necho v20.1\n");
  std::vector<Toolchain> toolchains = {
      make_toolchain("strip", {{"node", "nodejs"}}),
      make_toolchain("tsc", {{"tsc", "node-typescript"}, {"node", "nodejs"}})};
  toolchains[0].version_min = Version::find_in("22.6");
  const auto gap = find_toolchain(make_language(toolchains), options_);
  ASSERT_FALSE(gap);
  ASSERT_EQ(gap.error().missing.size(), 1u);
  EXPECT_EQ(gap.error().missing[0].tool.package, "node-typescript");
}

TEST_F(ToolchainSearchTest, VersionCommandsSeeNothingOfTheCaller) {
  ::setenv("AIRLOCK_TEST_SECRET", "1", 1);
  add_program("usr/bin/tool", "#!/bin/sh\n[ -z \"$AIRLOCK_TEST_SECRET\" ] && echo 1.2 || exit 3\n");
  const Language language = make_language({make_toolchain("T", {{"tool", "p"}})});
  const auto found = find_toolchain(language, options_);
  ASSERT_TRUE(found);
  const auto version = query_version(*found);
  ::unsetenv("AIRLOCK_TEST_SECRET");
  ASSERT_TRUE(version) << version.error().to_string();
  EXPECT_EQ(version->to_string(), "1.2");
}

TEST_F(ToolchainSearchTest, AVersionCommandThatFailsIsAnError) {
  for (const char* script : {"#!/bin/sh\nexit 1\n", "#!/bin/sh\necho none\n", "#!/nonexistent\n"}) {
    add_program("usr/bin/tool", script);
    const Language language = make_language({make_toolchain("T", {{"tool", "p"}})});
    const auto found = find_toolchain(language, options_);
    ASSERT_TRUE(found);
    EXPECT_FALSE(query_version(*found)) << script;
  }
}

}  // namespace
}  // namespace airlock::language
