#include "apps/airlock/terminal_filter.h"

#include <gtest/gtest.h>

namespace airlock::apps {
namespace {

std::string filtered(std::string_view bytes, TerminalUse use) {
  TerminalFilter whole(use);
  std::string out;
  whole.filter(bytes, out);
  // However the bytes are cut, the same must come out.
  TerminalFilter pieces(use);
  std::string out_of_pieces;
  for (const char byte : bytes) pieces.filter({&byte, 1}, out_of_pieces);
  EXPECT_EQ(out, out_of_pieces);
  return out;
}

void expect_passes(std::string_view bytes, TerminalUse use) {
  EXPECT_EQ(filtered(bytes, use), bytes);
}
void expect_dropped(std::string_view bytes, TerminalUse use) {
  EXPECT_EQ(filtered("a" + std::string(bytes) + "z", use), "az");
}

class BothUsesTest : public testing::TestWithParam<TerminalUse> {};
INSTANTIATE_TEST_SUITE_P(TerminalFilterTest, BothUsesTest,
                         testing::Values(TerminalUse::kPlain, TerminalUse::kInteractive));

TEST_P(BothUsesTest, TextColoursAndProgressBarsPass) {
  for (const char* text : {"plain\n", "\ttab\r\n", "é€😀", "\x1b[1;31mred\x1b[0m", "50%\r\x1b[K",
                           "\x1b[2A\x1b[2J\x1b[H", "\x1b[?25l"}) {
    expect_passes(text, GetParam());
  }
}

TEST_P(BothUsesTest, WhatTheTerminalWouldObeyNeverPasses) {
  for (const char* text : {
           "\x1b]52;c;ZWNobyBvd25lZAo=\x07",    // sets the clipboard
           "\x1b]0;title\x1b\\",                // sets the title
           "\x1b]8;;http://example.com\x1b\\",  // a link that says something else
           "\x1bP$qm\x1b\\",                    // asks for a setting
           "\x1b_G\x1b\\",
           "\x1b^x\x1b\\",
           "\x1bXx\x1b\\",
           "\x1b[21t",  // answers with the title
           "\x1b[5i",   // prints
           "\x1b[>c",
           "\x1b[>q",
           "\x1b[!p",
           "\x1b[1$r",
           "\x1b[1*y",
           "\x1b[=c",
       }) {
    expect_dropped(text, GetParam());
  }
}

TEST_P(BothUsesTest, EightBitControlsAreDropped) {
  EXPECT_EQ(filtered("a\x9b"
                     "31mz",
                     GetParam()),
            "a31mz");
  EXPECT_EQ(filtered("a\xc2\x9d"
                     "52;z",
                     GetParam()),
            "a52;z");
  expect_passes("\xc2\xa0", GetParam());
}

TEST_P(BothUsesTest, UnfinishedStringSwallowsNoMoreThanCancelAllows) {
  EXPECT_EQ(filtered("a\x1b]0;x\x18z", GetParam()), "az");
  EXPECT_EQ(filtered("a\x1b]0;x\x1b[1mz", GetParam()), "a\x1b[1mz");
}

TEST_P(BothUsesTest, EndlessSequenceIsDroppedWithoutGrowing) {
  EXPECT_EQ(filtered("a\x1b[" + std::string(100'000, '1') + "mz", GetParam()), "az");
}

TEST(TerminalFilterTest, FullScreenProgramsWorkOnlyWithAPtyOfTheirOwn) {
  for (const char* text : {"\x1b[?1049h", "\x1b[6n", "\x1b[1;10r", "\x1b(0", "\x1b=",
                           ("\x1b"
                            "7")}) {
    expect_passes(text, TerminalUse::kInteractive);
    expect_dropped(text, TerminalUse::kPlain);
  }
}

TEST(TerminalFilterTest, TerminalIsPutBackInOrder) {
  TerminalFilter filter(TerminalUse::kInteractive);
  std::string out;
  filter.filter("\x1b[?1049h\x1b[?25l\x1b[31m", out);
  EXPECT_EQ(filter.restoring_sequence(), "\x1b[?1049l\x1b[?25h\x1b[0m\x1b(B");
}

TEST(TerminalFilterTest, TerminalThatWasLeftAloneIsLeftAlone) {
  TerminalFilter filter(TerminalUse::kInteractive);
  std::string out;
  filter.filter("hello\n", out);
  EXPECT_EQ(filter.restoring_sequence(), "");
}

TEST(TerminalFilterTest, LinesAmongOursCannotOverwriteThem) {
  TerminalFilter filter(TerminalUse::kLines);
  std::string out;
  filter.filter("\x1b[31mred\x1b[0m\x1b[1A\x1b[2K\r\b\a\x1b[?25l\x1b[Htext\tx\n", out);
  EXPECT_EQ(out, "\x1b[31mred\x1b[0mtext\tx\n");
}

}  // namespace
}  // namespace airlock::apps
