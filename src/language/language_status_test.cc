#include "language/language_status.h"

#include <gtest/gtest.h>

namespace airlock::language {
namespace {

constexpr std::string_view kYaml = R"(languages:
  shell:
    aliases: [sh]
    extensions: [.sh]
    file_name: main.sh
    toolchains:
      - name: Shell
        tools: {sh: dash}
        version: [sh, -c, "echo shell 1.2.3"]
        run: {argv: [sh, "{source}", "{args}"]}
  broken:
    extensions: [.broken]
    file_name: main.broken
    toolchains:
      - name: Broken
        tools: {sh: dash}
        version: [sh, -c, "exit 1"]
        compile: {argv: [sh, "{binary}"]}
        run: {argv: [sh, "{source}", "{args}"]}
  absent:
    extensions: [.absent]
    file_name: main.absent
    toolchains:
      - name: Absent
        tools: {airlock-test-absent: absent-package, airlock-test-other: absent-package}
        version: [airlock-test-absent]
        run: {argv: [airlock-test-absent, "{source}", "{args}"]}
)";

TEST(LanguageStatusTest, SaysOfEachLanguageWhatTheHostCanDo) {
  const auto table = LanguageTable::parse(kYaml, "t");
  ASSERT_TRUE(table) << table.error().to_string();
  const auto statuses = detect_languages(*table, ToolSearchOptions{});
  ASSERT_EQ(statuses.size(), 3u);

  EXPECT_EQ(statuses[0].name, "shell");
  EXPECT_EQ(statuses[0].presence, Presence::kReady);
  EXPECT_EQ(statuses[0].version, "1.2.3");
  EXPECT_EQ(statuses[0].toolchain, "Shell");
  EXPECT_FALSE(statuses[0].compiled);

  EXPECT_EQ(statuses[1].presence, Presence::kBroken);
  EXPECT_EQ(statuses[1].note, "sh is there but does not start");
  EXPECT_TRUE(statuses[1].compiled);

  EXPECT_EQ(statuses[2].presence, Presence::kMissing);
  EXPECT_EQ(statuses[2].packages, std::vector<std::string>{"absent-package"});
  EXPECT_EQ(statuses[2].version, "");
}

TEST(LanguageStatusTest, AnEmptyTableGivesNoStatus) {
  const auto table = LanguageTable::parse("languages: {}\n", "t");
  ASSERT_TRUE(table);
  EXPECT_TRUE(detect_languages(*table, ToolSearchOptions{}).empty());
}

}  // namespace
}  // namespace airlock::language
