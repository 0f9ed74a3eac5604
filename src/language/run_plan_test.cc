#include "language/run_plan.h"

#include <gtest/gtest.h>

#include "language/language_table.h"

namespace airlock::language {
namespace {

constexpr std::string_view kYaml = R"(languages:
  python:
    extensions: [.py]
    file_name: main.py
    toolchains:
      - name: CPython
        tools: {python3: python3}
        version: [python3, --version]
        env: {A: "1"}
        run: {argv: [python3, -u, "{source}", "{args}"]}
  java:
    extensions: [.java]
    file_name: Main.java
    toolchains:
      - name: JDK
        tools: {javac: jdk, java: jre}
        version: [java, --version]
        disk: 128m
        compile:
          binary: /tmp/classes
          argv: [javac, "-J-XX:MaxRAM={memory_bytes}", -d, "{binary}", "{source}"]
          limits: {wall_time: 60s, memory: 1g}
        run:
          argv: [java, -cp, "{binary}", "{stem}", "{args}"]
          limits: {pids: 256}
  c:
    extensions: [.c, .bin]
    file_name: main.c
    toolchains:
      - name: GCC
        tools: {gcc: gcc}
        version: [gcc, -dumpfullversion]
        compile: {argv: [gcc, -o, "{binary}", "{source}"]}
        run: {argv: ["{binary}", "{args}"]}
)";

using Words = std::vector<std::string>;

class RunPlanTest : public testing::Test {
 protected:
  RunPlanTest() : table_(*LanguageTable::parse(kYaml, "t")) {}

  base::Result<RunPlan> plan(std::string_view name, const PlanRequest& request) const {
    const Language& language = *table_.find(name);
    InstalledToolchain installed;
    installed.toolchain = &language.toolchains.front();
    for (const Tool& tool : installed.toolchain->tools) {
      installed.paths[tool.executable] = "/usr/bin/" + tool.executable;
    }
    return make_plan(language, installed, request);
  }

  LanguageTable table_;
};

TEST_F(RunPlanTest, AnInterpretedProgramHasOnePhase) {
  const auto made = plan("python", {.file_name = "x y.py", .args = {"{source}", ""}, .limits = {}});
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(made->source_path, "workspace/x y.py");
  EXPECT_FALSE(made->compile);
  EXPECT_EQ(made->run.argv, (Words{"/usr/bin/python3", "-u", "/workspace/x y.py", "{source}", ""}));
  EXPECT_EQ(made->env, Words{"A=1"});
  EXPECT_EQ(made->run.limits, model::Limits{});
}

TEST_F(RunPlanTest, ACompiledProgramHasTwoWithLimitsOfTheirOwn) {
  const auto made = plan("java", {.file_name = "Hello.java", .args = {"a"}, .limits = {}});
  ASSERT_TRUE(made) << made.error().to_string();
  ASSERT_TRUE(made->compile);
  EXPECT_EQ(made->compile->argv, (Words{"/usr/bin/javac", "-J-XX:MaxRAM=1073741824", "-d",
                                        "/tmp/classes", "/workspace/Hello.java"}));
  EXPECT_EQ(made->run.argv, (Words{"/usr/bin/java", "-cp", "/tmp/classes", "Hello", "a"}));
  EXPECT_EQ(made->compile->limits.wall_time, std::chrono::seconds(60));
  EXPECT_EQ(made->run.limits.wall_time, model::Limits{}.wall_time);
  EXPECT_EQ(made->run.limits.pids, 256u);
  EXPECT_EQ(made->compile->limits.disk, base::mebibytes(128));
  EXPECT_EQ(made->run.limits.disk, base::mebibytes(128));
}

TEST_F(RunPlanTest, TheUsersLimitsWinForTheProgramAndOnlyRaiseForTheCompiler) {
  PlanRequest request{.file_name = "", .args = {}, .limits = {}};
  request.limits.wall_time = std::chrono::seconds(1);
  request.limits.memory = base::gibibytes(2);
  request.limits.disk = base::mebibytes(16);
  const auto made = plan("java", request);
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(made->run.limits.wall_time, std::chrono::seconds(1));
  EXPECT_EQ(made->compile->limits.wall_time, std::chrono::seconds(60));
  EXPECT_EQ(made->run.limits.memory, base::gibibytes(2));
  EXPECT_EQ(made->compile->limits.memory, base::gibibytes(2));
  EXPECT_EQ(made->compile->limits.disk, base::mebibytes(16));  // one workspace, one size
  EXPECT_EQ(made->run.limits.disk, base::mebibytes(16));
}

TEST_F(RunPlanTest, ANameThatDoesNotFitTheLanguageIsReplaced) {
  EXPECT_EQ(plan("python", {.file_name = "", .args = {}, .limits = {}})->source_path,
            "workspace/main.py");
  EXPECT_EQ(plan("python", {.file_name = "tool", .args = {}, .limits = {}})->source_path,
            "workspace/main.py");
  EXPECT_EQ(plan("python", {.file_name = ".py", .args = {}, .limits = {}})->source_path,
            "workspace/main.py");
  EXPECT_EQ(plan("java", {.file_name = "x.txt", .args = {}, .limits = {}})->run.argv[3], "Main");
}

TEST_F(RunPlanTest, TheBinaryNeverOverwritesTheSource) {
  const auto made = plan("c", {.file_name = "x.bin", .args = {}, .limits = {}});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->source_path, "workspace/x.bin");
  EXPECT_EQ(made->run.argv, Words{"/workspace/x.bin.bin"});
}

TEST_F(RunPlanTest, AFileNameWithPlaceholdersIsText) {
  const auto made = plan("c", {.file_name = "{source}{args}.c", .args = {}, .limits = {}});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->compile->argv[3], "/workspace/{source}{args}.c");
}

TEST_F(RunPlanTest, FileNamesThatArePathsAreRefused) {
  for (const std::string& name :
       Words{"a/b.py", "..", ".", "a\nb.py", std::string("a\0.py", 5), std::string(256, 'x')}) {
    EXPECT_FALSE(plan("python", {.file_name = name, .args = {}, .limits = {}})) << name;
  }
}

TEST_F(RunPlanTest, ArgumentsAndLimitsAreBounded) {
  EXPECT_FALSE(
      plan("python", {.file_name = "", .args = Words(model::kArgumentsMax), .limits = {}}));
  PlanRequest request;
  request.limits.pids = 0;
  EXPECT_FALSE(plan("python", request));
}

}  // namespace
}  // namespace airlock::language
