#include "config/config_file.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "base/files.h"
#include "base/unique_fd.h"

namespace airlock::config {
namespace {

constexpr Setting kTable[] = {
    {.name = "listen",
     .value = "URL",
     .group = "G",
     .help = "",
     .fallback = "x",
     .shape = Shape::kList},
    {.name = "max_wall", .value = "TIME", .group = "G", .help = "", .fallback = "10m"},
    {.name = "config",
     .value = "FILE",
     .group = "G",
     .help = "",
     .fallback = "",
     .places = Places::kNotInFile},
    {.name = "api_key",
     .value = "KEY",
     .group = "G",
     .help = "",
     .fallback = "",
     .places = Places::kSecret},
    {.name = "execution.mode", .value = "", .group = "H", .help = "", .fallback = "auto"},
    {.name = "execution.net.allow",
     .value = "",
     .group = "H",
     .help = "",
     .fallback = "",
     .shape = Shape::kList},
};

// What is wrong, with the hint.
std::string refused(const std::string& yaml) {
  Values values(kTable);
  const auto done = put_file(values, {yaml}, "a.yaml");
  EXPECT_FALSE(done) << yaml;
  return done ? "" : done.error().message + " | " + done.error().hint;
}

void expect_mentions(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(ConfigFileTest, ValuesHaveTheirPlaces) {
  Values values(kTable);
  ASSERT_TRUE(put_file(values, {"# first\nlisten: [a, b]\nmax_wall:   2m\n"}, "a.yaml"));
  EXPECT_EQ(values.of("listen").texts, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(values.of("listen").origin, "a.yaml:2:9");
  EXPECT_EQ(values.text("max_wall"), "2m");
  EXPECT_EQ(values.of("max_wall").origin, "a.yaml:3:13");
  EXPECT_EQ(values.of("max_wall").layer, Layer::kFile);
}

TEST(ConfigFileTest, AListOfOneNeedsNoBrackets) {
  Values values(kTable);
  ASSERT_TRUE(put_file(values, {"listen: http://127.0.0.1:1"}, "a.yaml"));
  EXPECT_EQ(values.of("listen").texts, (std::vector<std::string>{"http://127.0.0.1:1"}));
}

TEST(ConfigFileTest, AnEmptyFileSaysNothing) {
  Values values(kTable);
  EXPECT_TRUE(put_file(values, {""}, "a.yaml"));
  EXPECT_TRUE(put_file(values, {"# nothing\n"}, "a.yaml"));
  EXPECT_FALSE(values.is_set("max_wall"));
}

TEST(ConfigFileTest, NothingOfAListIsWhatNothingSaidIs) {
  Values values(kTable);
  EXPECT_TRUE(put_file(values, {"execution: {net: {allow: []}}"}, "a.yaml"));
  EXPECT_FALSE(values.is_set("execution.net.allow"));
}

TEST(ConfigFileTest, WhatIsUnknownIsRefusedWithPlaceAndNearestName) {
  const std::string text = refused("listen: x\n  \nmax_wal: 2m\n");
  expect_mentions(text, "a.yaml:3:1: ");
  expect_mentions(text, "did you mean \"max_wall\"?");
}

TEST(ConfigFileTest, WrongKindsOfValuesAreRefusedWithTheirPlace) {
  expect_mentions(refused("max_wall: [1, 2]"), "a.yaml:1:11: max_wall must be text, not a list");
  expect_mentions(refused("max_wall:\n"), "a.yaml:1:1: max_wall has no value");
  expect_mentions(refused("max_wall: {a: b}"), "not a mapping");
  expect_mentions(refused("listen: []"), "empty list");
  expect_mentions(refused("listen: [[a]]"), "must be text");
  expect_mentions(refused("- a"), "must be a mapping");
  expect_mentions(refused("max_wall: 1m\nmax_wall: 2m"), "a.yaml:2:1: ");
  expect_mentions(refused("max_wall: 'x"), "a.yaml:1:");
}

TEST(ConfigFileTest, ASecretIsTakenFromAFileThatOnlyItsOwnerReads) {
  expect_mentions(refused("api_key: abc"), "a.yaml:1:1: api_key is a secret");
  expect_mentions(refused("api_key: abc"), "chmod 600");
  expect_mentions(refused("api_key: abc"), "AIRLOCK_API_KEY");
  Values values(kTable);
  ASSERT_TRUE(put_file(values, {"api_key: abc", Readers::kOwner}, "a.yaml"));
  EXPECT_EQ(values.text("api_key"), "abc");
  EXPECT_EQ(values.describe().find("abc"), std::string::npos);
}

TEST(ConfigFileTest, WhoReadsAFileIsItsMode) {
  std::string name = std::filesystem::temp_directory_path() / "config-XXXXXX";
  const base::UniqueFd file(::mkstemp(name.data()));
  ASSERT_TRUE(base::write_all(file.get(), "listen: x\n", name));
  for (const auto& [mode, readers] :
       {std::pair(0600u, Readers::kOwner), std::pair(0640u, Readers::kOthers),
        std::pair(0604u, Readers::kOthers)}) {
    ASSERT_EQ(::fchmod(file.get(), mode), 0);
    const auto text = read_config_file(name);
    ASSERT_TRUE(text);
    EXPECT_EQ(text->yaml, "listen: x\n");
    EXPECT_EQ(text->readers, readers) << mode;
  }
  std::filesystem::remove(name);
}

TEST(ConfigFileTest, TheFileItselfIsNotNamedInIt) {
  expect_mentions(refused("config: b.yaml"), "--config");
}

TEST(ConfigFileTest, OnlyARegularFileIsRead) {
  EXPECT_FALSE(read_config_file("/dev/null"));
  EXPECT_FALSE(read_config_file("/nowhere/a.yaml"));
  EXPECT_FALSE(read_config_file(std::filesystem::temp_directory_path()));
}

TEST(ConfigFileTest, SectionsHoldTheSettingsOfTheirName) {
  Values values(kTable);
  ASSERT_TRUE(
      put_file(values, {"execution:\n  mode: direct\n  net:\n    allow: [a, b]\n"}, "a.yaml"));
  EXPECT_EQ(values.text("execution.mode"), "direct");
  EXPECT_EQ(values.of("execution.mode").origin, "a.yaml:2:9");
  EXPECT_EQ(values.of("execution.net.allow").texts, (std::vector<std::string>{"a", "b"}));
}

TEST(ConfigFileTest, SectionsAreReadAsStrictlyAsTheRest) {
  expect_mentions(refused("execution:\n  mod: x\n"), "did you mean \"mode\"?");
  expect_mentions(refused("execution: x\n"), "a.yaml:1:12: ");
  expect_mentions(refused("execution:\n  net: [a]\n"), "a.yaml:2:8: ");
  expect_mentions(refused("execution:\n"), "execution has no value");
  expect_mentions(refused("mode: x\n"), "a.yaml:1:1: ");
}

TEST(ConfigFileTest, WhatIsDescribedCanBeReadAgain) {
  Values values(kTable);
  ASSERT_TRUE(put_file(values, {"execution:\n  net:\n    allow: [\"1.2.3.4:5\"]\n"}, "a.yaml"));
  Values again(kTable);
  ASSERT_TRUE(put_file(again, {values.describe()}, "b.yaml")) << values.describe();
  EXPECT_EQ(again.of("execution.net.allow").texts, (std::vector<std::string>{"1.2.3.4:5"}));
  EXPECT_FALSE(again.is_set("execution.mode"));
  const Values nothing(kTable);
  EXPECT_TRUE(put_file(again, {nothing.describe()}, "c.yaml")) << nothing.describe();
}

}  // namespace
}  // namespace airlock::config
