#include "client/event_parser.h"

#include <gtest/gtest.h>

namespace airlock::client {
namespace {

std::vector<ServerEvent> parse(std::string_view text, std::size_t piece) {
  EventParser parser;
  std::vector<ServerEvent> events;
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    EXPECT_TRUE(parser.feed(text.substr(0, piece), events));
  }
  return events;
}

base::ErrorCode refusal(std::string_view text, std::size_t bytes_max = kEventBytesMax) {
  EventParser parser(bytes_max);
  std::vector<ServerEvent> events;
  const base::Status status = parser.feed(text, events);
  EXPECT_FALSE(status) << text;
  return status ? base::ErrorCode{} : status.error().code;
}

TEST(EventParserTest, EventsAreTheSameInPiecesOfAnySize) {
  constexpr std::string_view kText =
      ": hello\n\nid: prep:16\nevent: log\ndata: {\"a\":\"\xc3\xa4\"}\n\r\nevent: end\r\n"
      "data: one\r\ndata:two\r\n\r\ndata\n\n";
  for (const std::size_t piece : {1, 2, 3, 7, 1'000}) {
    const auto events = parse(kText, piece);
    ASSERT_EQ(events.size(), 3u) << piece;
    EXPECT_EQ(events[0].id, "prep:16");
    EXPECT_EQ(events[0].name, "log");
    EXPECT_EQ(events[0].data, "{\"a\":\"\xc3\xa4\"}");
    EXPECT_EQ(events[1].id, "");
    EXPECT_EQ(events[1].name, "end");
    EXPECT_EQ(events[1].data, "one\ntwo");
    EXPECT_EQ(events[2].name, "message");
    EXPECT_EQ(events[2].data, "");
  }
}

TEST(EventParserTest, AnEventCountsOnlyWithTheEmptyLineBehindIt) {
  EXPECT_TRUE(parse("event: log\ndata: half\n", 100).empty());
  EXPECT_TRUE(parse("event: log\nid: 7\n\n", 100).empty());  // one without data is none
}

TEST(EventParserTest, WhatIsNoEventIsRefused) {
  EXPECT_EQ(refusal("<html>\n"), base::ErrorCode::kProtocol);
  EXPECT_EQ(refusal("data : x\n"), base::ErrorCode::kProtocol);
  EXPECT_EQ(refusal("data: \xff\n"), base::ErrorCode::kProtocol);
  EXPECT_EQ(refusal(std::string_view("data: a\0b\n", 10)), base::ErrorCode::kProtocol);
  EXPECT_EQ(refusal("data: a\rdata: b\n"), base::ErrorCode::kProtocol);
  EXPECT_EQ(refusal("id: " + std::string(kEventIdBytesMax + 1, 'x') + "\n"),
            base::ErrorCode::kProtocol);
}

TEST(EventParserTest, AnEventIsBoundedWhateverItIsMadeOf) {
  EXPECT_EQ(refusal("data: " + std::string(200, 'x'), 100), base::ErrorCode::kProtocol);
  std::string many;
  for (int i = 0; i < 20; ++i) many += "data: abc\n";
  EXPECT_EQ(refusal(many, 100), base::ErrorCode::kProtocol);
  many.clear();
  for (int i = 0; i < 20; ++i) many += ": abcdefg\n";
  EXPECT_EQ(refusal(many, 100), base::ErrorCode::kProtocol);
  EventParser parser(100);
  std::vector<ServerEvent> events;
  for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(parser.feed("data: abc\n\n", events));
  EXPECT_EQ(events.size(), 1'000u);
}

}  // namespace
}  // namespace airlock::client
