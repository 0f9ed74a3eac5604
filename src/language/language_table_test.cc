#include "language/language_table.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

namespace airlock::language {
namespace {

// A small valid file, in which a test changes one thing.
constexpr std::string_view kSmall = R"(languages:
  python:
    aliases: [py]
    extensions: [.py]
    file_name: main.py
    toolchains:
      - name: CPython
        tools: {python3: python3}
        version: [python3, --version]
        env: {A_B: "1"}
        run:
          argv: [python3, "{source}", "{args}"]
          limits: {pids: 64, wall_time: 1.5s}
  c:
    extensions: [.c]
    file_name: main.c
    toolchains:
      - name: GCC
        tools: {gcc: gcc}
        version: [gcc, -dumpfullversion]
        disk: 128m
        compile:
          argv: [gcc, -o, "{binary}", "{source}"]
        run:
          argv: ["{binary}", "{args}"]
)";

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(kSmall);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// What is said about kSmall with one change.
std::string error_of(std::string_view from, std::string_view to) {
  const auto table = LanguageTable::parse(replaced(from, to), "t");
  return table ? "no error" : table.error().message;
}

TEST(LanguageTableTest, ReadsEveryField) {
  const auto table = LanguageTable::parse(kSmall, "t");
  ASSERT_TRUE(table) << table.error().to_string();
  ASSERT_EQ(table->languages().size(), 2u);
  const Language& python = table->languages()[0];
  EXPECT_EQ(python.name, "python");
  EXPECT_EQ(python.aliases, std::vector<std::string>{"py"});
  EXPECT_EQ(python.extensions, std::vector<std::string>{".py"});
  EXPECT_EQ(python.file_name, "main.py");
  const Toolchain& cpython = python.toolchains.front();
  EXPECT_EQ(cpython.tools, (std::vector<Tool>{{"python3", "python3"}}));
  EXPECT_EQ(cpython.env, std::vector<std::string>{"A_B=1"});
  EXPECT_EQ(cpython.run.limits.pids, 64u);
  EXPECT_EQ(cpython.run.limits.wall_time, std::chrono::milliseconds(1500));
  EXPECT_EQ(cpython.run.limits.memory, std::nullopt);
  EXPECT_FALSE(cpython.compile);
  const Toolchain& gcc = table->languages()[1].toolchains.front();
  EXPECT_EQ(gcc.disk, base::mebibytes(128));
  EXPECT_EQ(gcc.binary, "/workspace/{stem}.bin");
  ASSERT_TRUE(gcc.compile);
  EXPECT_EQ(gcc.compile->argv.size(), 4u);
}

TEST(LanguageTableTest, FindsByNameAliasAndFileName) {
  const auto table = LanguageTable::parse(kSmall, "t");
  ASSERT_TRUE(table);
  EXPECT_EQ(table->find("python"), &table->languages()[0]);
  EXPECT_EQ(table->find("py"), &table->languages()[0]);
  EXPECT_EQ(table->find("Python"), nullptr);
  EXPECT_EQ(table->find_by_file_name("/tmp/a.b/x.tar.py"), &table->languages()[0]);
  EXPECT_EQ(table->find_by_file_name("/tmp/a.py/x"), nullptr);
  EXPECT_EQ(table->find_by_file_name(".py"), nullptr);
  EXPECT_EQ(table->find_by_file_name(""), nullptr);
}

TEST(LanguageTableTest, AnUnknownLanguageNamesTheClosestAndAll) {
  const auto table = LanguageTable::parse(kSmall, "t");
  ASSERT_TRUE(table);
  const auto unknown = table->require("pyton");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message, "unknown language \"pyton\"; did you mean \"python\"?");
  EXPECT_EQ(unknown.error().hint, "known languages: python, c");
  EXPECT_EQ(table->require_by_file_name("x.foo").error().hint,
            "name it with --language; known extensions: .py, .c");
}

TEST(LanguageTableTest, UnknownKeysAreRefusedWithPlaceAndNearestName) {
  EXPECT_EQ(error_of("aliases:", "aliasses:"),
            "t:3:5: unknown key \"aliasses\" in python; did you mean \"aliases\"?");
  EXPECT_EQ(error_of("pids: 64", "pid: 64"),
            "t:13:20: unknown key \"pid\" in limits of run; did you mean \"pids\"?");
  EXPECT_EQ(error_of("languages:", "language:"),
            "t:1:1: unknown key \"language\" in the file; did you mean \"languages\"?");
  EXPECT_EQ(error_of("        disk:", "        disc:"),
            "t:21:9: unknown key \"disc\" in toolchain 1 of c; did you mean \"disk\"?");
  EXPECT_EQ(error_of("limits: {pids: 64, wall_time: 1.5s}", "binary: /tmp/x"),
            "t:13:11: unknown key \"binary\" in run");
}

TEST(LanguageTableTest, MissingKeysAreNamed) {
  EXPECT_EQ(error_of("    extensions: [.py]\n", ""), "t:3:5: python lacks the key \"extensions\"");
  EXPECT_EQ(error_of("        version: [python3, --version]\n", ""),
            "t:7:9: toolchain 1 of python lacks the key \"version\"");
}

TEST(LanguageTableTest, WrongTypesAreRefused) {
  EXPECT_EQ(error_of("[py]", "py"), "t:3:14: aliases of python must be a list, not text");
  EXPECT_EQ(error_of("[py]", "[]"), "t:3:14: aliases of python is an empty list");
  EXPECT_EQ(error_of("[py]", "[[py]]"), "t:3:15: aliases of python must be text, not a list");
  EXPECT_EQ(error_of("main.py", "{a: b}"),
            "t:5:16: file_name of python must be text, not a mapping");
  EXPECT_EQ(error_of("pids: 64", "pids: 0x40"),
            "t:13:26: pids must be a whole number, not \"0x40\"");
  EXPECT_EQ(error_of("pids: 64", "pids: 064"), "t:13:26: pids must be a whole number, not \"064\"");
  EXPECT_EQ(error_of("{python3: python3}", "[python3]"),
            "t:8:16: tools must be a mapping of executables to packages");
  EXPECT_EQ(LanguageTable::parse("", "t").error().message,
            "t:1:1: the file must be a mapping, not nothing");
}

TEST(LanguageTableTest, BracesWithoutQuotesAreExplained) {
  const auto table = LanguageTable::parse(replaced("\"{source}\"", "{source}"), "t");
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().message, "t:12:27: a word of argv of run must be text, not a mapping");
}

TEST(LanguageTableTest, ImpossibleLimitsAreRefused) {
  EXPECT_NE(error_of("pids: 64", "pids: 0"), "no error");
  EXPECT_NE(error_of("1.5s", "100h"), "no error");
  EXPECT_NE(error_of("1.5s", "soon"), "no error");
  EXPECT_NE(error_of("128m", "1k"), "no error");
  EXPECT_EQ(error_of("pids: 64", "pids: 70000").substr(0, 8), "t:13:19:");
}

TEST(LanguageTableTest, NamesAndExtensionsBelongToOneLanguage) {
  EXPECT_EQ(error_of("[py]", "[c]"), "t:14:3: \"c\" of c already belongs to python");
  EXPECT_EQ(error_of("[py]", "[py, py]"), "t:3:19: \"py\" of python already belongs to python");
  EXPECT_EQ(error_of("[.c]", "[.c, .py]"), "t:15:22: \".py\" of c already belongs to python");
  EXPECT_EQ(error_of("  c:\n", "  python:\n"),
            "t:14:3: the key \"python\" is there twice, first in line 2");
}

TEST(LanguageTableTest, NamesThatCannotBeNamesAreRefused) {
  EXPECT_NE(error_of("[py]", "[Py]"), "no error");
  EXPECT_NE(error_of("[py]", "[\"p y\"]"), "no error");
  EXPECT_NE(error_of("[py]", "[-py]"), "no error");
  EXPECT_NE(error_of("[.py]", "[py]"), "no error");
  EXPECT_NE(error_of("[.py]", "[.tar.py]"), "no error");
  EXPECT_NE(error_of("main.py", "../main.py"), "no error");
  EXPECT_NE(error_of("main.py", "main.rb"), "no error");
  EXPECT_NE(error_of("{python3: python3}", "{/bin/python3: python3}"), "no error");
  EXPECT_NE(error_of("{python3: python3}", "{python3: \"python3; rm -rf /\"}"), "no error");
  EXPECT_NE(error_of("A_B", "A=B"), "no error");
  EXPECT_NE(error_of("\"1\"", "\"a\\0b\""), "no error");
}

TEST(LanguageTableTest, CommandsStartWithADeclaredTool) {
  EXPECT_EQ(error_of("argv: [python3,", "argv: [python2,"),
            "t:12:18: \"python2\" is not among the tools");
  EXPECT_EQ(error_of("version: [python3,", "version: [sh,"),
            "t:9:19: \"sh\" is not among the tools");
  EXPECT_EQ(error_of("argv: [python3,", "argv: [\"{binary}\","),
            "t:12:18: \"{binary}\" is not among the tools");
}

TEST(LanguageTableTest, PlaceholdersAreChecked) {
  EXPECT_EQ(error_of("\"{source}\"", "\"{sorce}\""),
            "t:12:27: unknown placeholder \"{sorce}\"; did you mean \"{source}\"?");
  EXPECT_EQ(error_of("\"{source}\"", "\"{binary}\"").substr(0, 49),
            "t:12:27: unknown placeholder \"{binary}\"");
  EXPECT_EQ(error_of(", \"{args}\"]", "]"), "t:12:17: argv of run lacks the word \"{args}\"");
  EXPECT_EQ(error_of("\"{args}\"]", "\"{args}\", \"{args}\"]"),
            "t:12:49: \"{args}\" may stand once, in run, and nowhere else");
  EXPECT_EQ(error_of("[gcc, -o,", "[gcc, \"{args}\","),
            "t:23:23: \"{args}\" may stand once, in run, and nowhere else");
}

TEST(LanguageTableTest, WhatIsCompiledStaysInWritablePlaces) {
  const std::string_view compile = "        compile:\n";
  EXPECT_EQ(error_of(compile, "        compile:\n          binary: /tmp/{stem}\n"), "no error");
  EXPECT_NE(error_of(compile, "        compile:\n          binary: /usr/bin/gcc\n"), "no error");
  EXPECT_NE(error_of(compile, "        compile:\n          binary: /tmp/../usr/x\n"), "no error");
  EXPECT_NE(error_of(compile, "        compile:\n          binary: /tmp/{source}\n"), "no error");
}

TEST(LanguageTableTest, SizesAreBounded) {
  const auto large = LanguageTable::parse(std::string(kTableBytesMax + 1, '#'), "t");
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, base::ErrorCode::kLimitExceeded);
  EXPECT_NE(error_of("main.py", std::string(kTextBytesMax + 1, 'x') + ".py"), "no error");
  std::string aliases = "[py";
  for (std::size_t i = 0; i < kNamesMax; ++i) aliases += ", p" + std::to_string(i);
  EXPECT_NE(error_of("[py]", aliases + "]"), "no error");
}

TEST(LanguageTableTest, LoadReadsRegularFilesOnly) {
  const std::string path = testing::TempDir() + "/languages.yaml";
  std::ofstream(path) << kSmall;
  const auto table = LanguageTable::load(path);
  ASSERT_TRUE(table) << table.error().to_string();
  EXPECT_EQ(table->languages().size(), 2u);
  EXPECT_FALSE(LanguageTable::load("/dev/zero"));
  EXPECT_FALSE(LanguageTable::load("/"));
  const auto absent = LanguageTable::load("/nonexistent/languages.yaml");
  ASSERT_FALSE(absent);
  EXPECT_NE(absent.error().to_string().find("/nonexistent/languages.yaml"), std::string::npos);
}

TEST(LanguageTableTest, TheBuiltinTextIsValidAndComplete) {
  const auto table = LanguageTable::load("");
  ASSERT_TRUE(table) << table.error().to_string();
  std::set<std::string> names;
  for (const Language& language : table->languages()) names.insert(language.name);
  EXPECT_EQ(names, (std::set<std::string>{"bash", "c", "c++", "go", "java", "javascript", "lua",
                                          "perl", "php", "python", "ruby", "rust", "typescript"}));
}

}  // namespace
}  // namespace airlock::language
