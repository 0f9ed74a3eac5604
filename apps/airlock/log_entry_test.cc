#include "apps/airlock/log_entry.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace airlock::apps {
namespace {

std::optional<LogEntry> read(std::string_view json) {
  return read_log_entry(boost::json::parse(json).get_object());
}

std::vector<std::string> lines_of(const std::vector<std::string>& pieces) {
  LogLines lines;
  std::vector<std::string> taken;
  const auto take = [&](std::string_view line) { taken.emplace_back(line); };
  for (const std::string& piece : pieces) lines.add(piece, take);
  lines.finish(take);
  return taken;
}

TEST(LogEntryTest, TextAndBytesAreRead) {
  EXPECT_EQ(read(R"({"phase":"prep","stream":"stdout","text":"a\n"})")->bytes, "a\n");
  const auto bytes = read(R"({"phase":"prep","stream":"stderr","base64":"/wA="})");
  EXPECT_EQ(bytes->bytes, std::string("\xff\0", 2));
  EXPECT_EQ(bytes->stream, LogStream::kStderr);
  EXPECT_FALSE(read(R"({"phase":"prep","stream":"stdout","base64":"?"})"));
  EXPECT_FALSE(read(R"({"phase":"prep","stream":"stdin","text":"a"})"));
  EXPECT_FALSE(read("{}"));
}

TEST(LogEntryTest, LinesAreMadeOfPieces) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(lines_of({"a", "b\nc", "\n\nd"}), (Lines{"ab", "c", "", "d"}));
  EXPECT_EQ(lines_of({"10 %\r", "20 %\r30 %\n"}), (Lines{"30 %"}));
  EXPECT_EQ(lines_of({"a\r\nb\r", "\nc"}), (Lines{"a", "b", "c"}));
  EXPECT_EQ(lines_of({std::string(kLogLineBytesMax + 1, 'x')}).size(), 2u);
}

TEST(LogEntryTest, ALineCannotLeaveItsPlace) {
  EXPECT_EQ(terminal_line("\x1b[1A\x1b[2Kairlock: completed"), "airlock: completed");
  EXPECT_EQ(terminal_line("\x1b[31mred"), "\x1b[31mred\x1b[0m");
  EXPECT_EQ(terminal_line("\x1b]0;title\x07\xc2\x9b"
                          "2Jtext"),
            "2Jtext");
}

}  // namespace
}  // namespace airlock::apps
