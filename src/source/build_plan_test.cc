#include "source/build_plan.h"

#include <gtest/gtest.h>

#include <set>

#include "source/test_repository.h"

namespace airlock::source {
namespace {

using Files = std::map<std::string, std::string, std::less<>>;

BuildPlan plan_of(Files files, const std::optional<JobFile>& job_file = std::nullopt) {
  auto plan = make_build_plan(FakeView(std::move(files)), job_file);
  EXPECT_TRUE(plan.has_value());
  return plan.value_or(BuildPlan{});
}

std::vector<std::string> names(const BuildPlan& plan) {
  std::vector<std::string> result;
  for (const BuildStep& step : plan.steps) result.push_back(step.name);
  return result;
}

TEST(BuildPlanTest, RequirementsBecomeAVirtualEnvironment) {
  const BuildPlan plan = plan_of({{"requirements.txt", "numpy==2.0\n"}});
  ASSERT_EQ(plan.steps.size(), 2u);
  EXPECT_EQ(plan.steps[0].argv, (Command{"python3", "-m", "venv", "/build/venv"}));
  EXPECT_EQ(plan.steps[1].argv.front(), "/build/venv/bin/python");
  EXPECT_EQ(plan.presets, std::vector<std::string>{"pypi"});
  EXPECT_EQ(plan.run_path, std::vector<std::string>{"/build/venv/bin"});
}

TEST(BuildPlanTest, NothingToInstallNeedsNoBuildAndNoNetwork) {
  for (const char* text : {"", "\n", "# nothing\n\n"}) {
    const BuildPlan plan = plan_of({{"requirements.txt", text}});
    EXPECT_TRUE(plan.steps.empty());
    EXPECT_TRUE(plan.presets.empty());
    EXPECT_TRUE(plan.run_path.empty());
  }
  EXPECT_FALSE(plan_of({{"requirements.txt", "-r other.txt\n"}}).steps.empty());
  EXPECT_TRUE(plan_of({{"package.json", "{\"name\": \"x\", \"scripts\": {\"start\": \"y\"}}"}})
                  .steps.empty());
}

TEST(BuildPlanTest, ALockFileDecidesWhatNpmInstalls) {
  const std::string package = "{\"dependencies\": {\"left-pad\": \"1.3.0\"}}";
  const BuildPlan loose = plan_of({{"package.json", package}});
  EXPECT_EQ(loose.steps.back().argv[1], "install");
  const BuildPlan locked = plan_of({{"package.json", package}, {"package-lock.json", "{}"}});
  EXPECT_EQ(locked.steps.back().argv[1], "ci");
  EXPECT_EQ(locked.presets, std::vector<std::string>{"npm"});
  EXPECT_EQ(locked.run_env, std::vector<std::string>{"NODE_PATH=/build/node/node_modules"});
  ASSERT_EQ(locked.links.size(), 1u);
  EXPECT_EQ(locked.links[0],
            (Command{"ln", "-sfn", "--", "/build/node/node_modules", "node_modules"}));
  // What is no JSON for us may be some for npm.
  EXPECT_FALSE(plan_of({{"package.json", "{\t\"a\" 1"}}).steps.empty());
  EXPECT_FALSE(plan_of({{"package.json", "{\"scripts\": {\"prepare\": \"tsc\"}}"}}).steps.empty());
  const BuildPlan own =
      plan_of({{"package.json", package}, {"node_modules", "a file, or a folder"}});
  EXPECT_TRUE(own.links.empty());
  EXPECT_EQ(own.warnings.size(), 1u);
}

TEST(BuildPlanTest, SeveralKindsApplyAtOnce) {
  const BuildPlan plan = plan_of({{"requirements.txt", "numpy\n"},
                                  {"package.json", "{\"dependencies\": {\"a\": \"1\"}}"},
                                  {"CMakeLists.txt", ""},
                                  {"Makefile", ""}});
  EXPECT_EQ(names(plan), (std::vector<std::string>{"pip", "pip", "npm", "npm", "cmake", "cmake"}));
  EXPECT_EQ(plan.presets, (std::vector<std::string>{"npm", "pypi"}));
  EXPECT_EQ(names(plan_of({{"Makefile", ""}})), (std::vector<std::string>{"make", "make"}));
  EXPECT_TRUE(plan_of({{"CMakeLists.txt", ""}}).presets.empty());
}

TEST(BuildPlanTest, CommandsOfTheJobFileStandForEverythingElse) {
  JobFile file;
  file.build = std::vector<Command>{{"make", "all"}};
  const BuildPlan plan = plan_of({{"requirements.txt", "numpy\n"}}, file);
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].argv, (Command{"make", "all"}));
  file.build = std::vector<Command>{};
  EXPECT_TRUE(plan_of({{"requirements.txt", "numpy\n"}}, file).steps.empty());
  file.build.reset();
  EXPECT_EQ(plan_of({{"requirements.txt", "numpy\n"}}, file).steps.size(), 2u);
}

// A layer is used again only if nothing that the build could have read is different.
TEST(BuildDigestTest, AnyDifferenceIsAnotherKey) {
  const BuildFacts facts{.tenant = "a",
                         .tree = {{"x", EntryKind::kFile, false, "1"}},
                         .repo_path = "",
                         .toolchains = {"python 3.11", "gcc 12"},
                         .host_view = "view"};
  const BuildPlan plan = plan_of({{"requirements.txt", "numpy\n"}});
  std::set<std::string> keys = {build_digest(facts, plan)};
  const auto is_new = [&](const BuildFacts& other, const BuildPlan& other_plan) {
    return keys.insert(build_digest(other, other_plan)).second;
  };
  BuildFacts other = facts;
  other.tenant = "b";
  EXPECT_TRUE(is_new(other, plan));
  other = facts;
  other.tree[0].executable = true;
  EXPECT_TRUE(is_new(other, plan));
  other = facts;
  other.tree.push_back({"y", EntryKind::kFolder, false, ""});
  EXPECT_TRUE(is_new(other, plan));
  other = facts;
  other.repo_path = "sub";
  EXPECT_TRUE(is_new(other, plan));
  other = facts;
  other.toolchains = {"python 3.12", "gcc 12"};
  EXPECT_TRUE(is_new(other, plan));
  other = facts;
  other.host_view = "other";
  EXPECT_TRUE(is_new(other, plan));
  EXPECT_TRUE(is_new(facts, plan_of({})));
  BuildPlan joined = plan;  // the same words, cut elsewhere
  joined.steps[0].argv = {"python3 -m", "venv", "/build/venv"};
  EXPECT_TRUE(is_new(facts, joined));
  other = facts;
  other.toolchains = {"gcc 12", "python 3.11"};
  EXPECT_FALSE(is_new(other, plan));
}

// What is appended to one field cannot be taken for the next one.
TEST(BuildDigestTest, FieldsDoNotRunIntoEachOther) {
  const BuildFacts one{
      .tenant = "ab", .tree = {}, .repo_path = "c", .toolchains = {}, .host_view = ""};
  const BuildFacts two{
      .tenant = "a", .tree = {}, .repo_path = "bc", .toolchains = {}, .host_view = ""};
  EXPECT_NE(build_digest(one, {}), build_digest(two, {}));
}

}  // namespace
}  // namespace airlock::source
