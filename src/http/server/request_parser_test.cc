#include "http/server/request_parser.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

constexpr std::string_view kGet = "GET /health?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";

Request parse(std::string_view text, const ParserLimits& limits = {}) {
  RequestParser parser(limits);
  EXPECT_EQ(parser.feed(text), text.size());
  EXPECT_TRUE(parser.complete()) << parser.failure().message;
  return parser.take();
}

// The status that a request is refused with; fed in one piece and byte by byte.
int refused(std::string_view text, const ParserLimits& limits = {}) {
  RequestParser whole(limits);
  whole.feed(text);
  RequestParser slow(limits);
  std::string pending;
  for (const char byte : text) {
    pending += byte;
    pending.erase(0, slow.feed(pending));
  }
  EXPECT_EQ(whole.failure().status, slow.failure().status) << text;
  EXPECT_FALSE(whole.complete());
  return whole.failure().status;
}

TEST(RequestParserTest, AHeadIsTakenApart) {
  const Request request = parse(kGet);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.path, "/health");
  EXPECT_EQ(request.query, "x=1");
  EXPECT_EQ(request.header("HOST"), "localhost");
  EXPECT_TRUE(request.keep_alive);
}

TEST(RequestParserTest, BytesInAnyPiecesGiveTheSame) {
  const std::string text =
      "POST /v1/run HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + std::string(kGet);
  RequestParser parser({});
  std::string pending;
  std::size_t used = 0;
  for (const char byte : text) {
    pending += byte;
    const std::size_t count = parser.feed(pending);
    pending.erase(0, count);
    used += count;
    if (parser.complete()) break;
  }
  EXPECT_EQ(used, text.size() - kGet.size());
  EXPECT_EQ(parser.take().body, "hello");
}

TEST(RequestParserTest, WhatComesAfterIsLeftToTheNextRequest) {
  const std::string two = std::string(kGet) + std::string(kGet);
  RequestParser parser({});
  EXPECT_EQ(parser.feed(two), kGet.size());
  EXPECT_TRUE(parser.complete());
}

TEST(RequestParserTest, ChunksBecomeOneBody) {
  const Request request = parse(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: z\r\n\r\n");
  EXPECT_EQ(request.body, "abcdefg");
}

TEST(RequestParserTest, WhatTwoReadersCouldReadInTwoWaysIsRefused) {
  EXPECT_EQ(
      refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
      400);
  EXPECT_EQ(
      refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
      400);
  EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                    "Content-Length: 3\r\n\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), 400);
  EXPECT_EQ(refused("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
  EXPECT_EQ(refused("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc"), 400);
  EXPECT_EQ(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc"), 400);
  EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc"), 400);
  EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc"), 400);
  for (const char* const name :
       {"Origin", "Content-Type", "Authorization", "X-API-Key", "Content-Encoding", "Expect"}) {
    const std::string line = std::string(name) + ": a\r\n";
    EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: a\r\n" + line + line + "\r\n"), 400) << name;
  }
  EXPECT_EQ(refused("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\nY: \x01\r\n\r\n"), 400);
}

TEST(RequestParserTest, NonsenseIsRefused) {
  EXPECT_EQ(refused("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400);
  EXPECT_EQ(refused("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(refused("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refused("G\x7fT / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 400);
}

TEST(RequestParserTest, EveryLimitIsKept) {
  const ParserLimits limits{.header_bytes_max = 256, .body_bytes_max = 8, .headers_max = 3};
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(refused(head + "X: " + std::string(300, 'x') + "\r\n\r\n", limits), 431);
  EXPECT_EQ(refused(head + "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits), 431);
  EXPECT_EQ(refused(head + "Content-Length: 9\r\n\r\n", limits), 413);
  EXPECT_EQ(refused(head + "Transfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n", limits),
            413);
  EXPECT_EQ(parse(head + "Content-Length: 8\r\n\r\n12345678", limits).body, "12345678");
}

TEST(RequestParserTest, AnEndlessHeaderIsRefusedBeforeItEnds) {
  const ParserLimits limits{.header_bytes_max = 256};
  RequestParser parser(limits);
  std::string pending = "GET / HTTP/1.1\r\nX: ";
  for (int i = 0; i < 1'000 && parser.failure().status == 0; ++i) {
    pending += "xxxxxxxxxx";
    pending.erase(0, parser.feed(pending));
  }
  EXPECT_EQ(parser.failure().status, 431);
}

TEST(RequestParserTest, NothingGrowsWithoutBoundAfterTheHead) {
  const ParserLimits limits{.header_bytes_max = 256};
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* const begun : {"1;a=", "3\r\nabc\r\n0\r\nX: "}) {
    RequestParser parser(limits);
    std::string pending = head + begun;
    for (int i = 0; i < 1'000 && parser.failure().status == 0; ++i) {
      pending += "aaaaaaaaaa";
      pending.erase(0, parser.feed(pending));
    }
    EXPECT_EQ(parser.failure().status, 431) << begun;
    EXPECT_LT(pending.size(), 1'000u);
  }
}

TEST(RequestParserTest, TrailersAreNoHeaders) {
  const std::string text =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\nX-API-Key: k\r\nContent-Type: application/json\r\n\r\n";
  EXPECT_EQ(parse(text).header("X-API-Key"), "");
  EXPECT_EQ(refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "0\r\nHost: a\r\n\r\n"),
            400);
}

TEST(RequestParserTest, WhatTakesNoBodyIsRefusedOne) {
  EXPECT_EQ(refused("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 33554432\r\n\r\n"), 400);
  EXPECT_EQ(refused("HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_TRUE(parse("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").body.empty());
}

TEST(RequestParserTest, HttpOneZeroEndsItsConnection) {
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").keep_alive);
}

TEST(RequestParserTest, AClientThatWaitsIsRecognised) {
  RequestParser parser({});
  parser.feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n");
  EXPECT_TRUE(parser.head_complete());
  EXPECT_TRUE(parser.expects_continue());
  EXPECT_FALSE(parser.complete());
}

// Every way to cut a chunked body into two, and into bytes.
TEST(RequestParserTest, AChunkedBodyMayBeCutAnywhere) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string body :
       {"0\r\n\r\n", "0\r\nX: y\r\n\r\n", "000;a=b\r\n\r\n", "1\r\nx\r\n0\r\n\r\n",
        "2\r\nab\r\n1;q\r\nc\r\n0\r\nT: u\r\n\r\n"}) {
    const std::string text = head + body;
    for (std::size_t cut = 1; cut <= text.size(); ++cut) {
      RequestParser two({});
      RequestParser bytes({});
      std::string pending = text.substr(0, cut);
      pending.erase(0, two.feed(pending));
      pending += text.substr(cut);
      EXPECT_EQ(two.feed(pending), pending.size()) << body << cut;
      EXPECT_TRUE(two.complete()) << body << cut;
      std::string slow;
      for (const char byte : text) {
        slow += byte;
        slow.erase(0, bytes.feed(slow));
      }
      EXPECT_TRUE(bytes.complete()) << body;
      EXPECT_EQ(bytes.take().body, two.take().body);
    }
  }
}

}  // namespace
}  // namespace airlock::http
