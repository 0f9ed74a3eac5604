#include "apps/airlock/table.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace airlock::apps {
namespace {

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({{"JOB"}, {"SIZE", true}, {"NAME"}});
  table.add({"job_1", "7", "a"});
  table.add({"j", "1000", "\xc3\xa4\xc3\xb6"});
  EXPECT_EQ(table.text(0),
            "JOB    SIZE  NAME\n"
            "job_1     7  a\n"
            "j      1000  \xc3\xa4\xc3\xb6\n");
}

TEST(TableTest, NobodysTextObeysTheTerminalOrBreaksALine) {
  Table table({{"JOB"}, {"NAME"}});
  table.add({"\x1b[2J\n", "a\xc2\x9b\rb"});
  EXPECT_EQ(table.text(0).find_first_of("\x1b\r\xc2"), std::string::npos);
  EXPECT_EQ(std::ranges::count(table.text(0), '\n'), 2);
}

TEST(TableTest, CellsAreBoundedAndTheLastOneFitsTheTerminal) {
  Table table({{"JOB"}, {"NAME"}});
  table.add({std::string(1'000, 'x'), std::string(1'000, 'y')});
  const std::string text = table.text(80);
  EXPECT_NE(text.find(std::string(kTableCellColumnsMax - 3, 'x') + "...  "), std::string::npos);
  const std::string row = text.substr(text.find('\n') + 1);
  EXPECT_EQ(row.size(), 81u);
  EXPECT_TRUE(row.ends_with("yyy...\n"));
}

TEST(TableTest, TextIsCutBetweenCharacters) {
  EXPECT_EQ(shortened("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f!", 4), "\xc3\xa4...");
  EXPECT_EQ(shortened("abcd", 4), "abcd");
  EXPECT_EQ(shortened("abcd", 2), "..");
  EXPECT_EQ(count_characters("\xff\xfe"
                             "a"),
            3u);
}

}  // namespace
}  // namespace airlock::apps
