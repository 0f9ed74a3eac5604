#include "egress/http_head.h"

#include <gtest/gtest.h>

namespace airlock::egress {
namespace {

HeadResult<RequestHead> parse(const std::string& text) {
  HeadScan scan;
  const auto end = find_head_end(text, scan);
  if (!end) return std::unexpected(end.error());
  if (*end == 0) return std::unexpected(HeadError{0, "not complete"});
  return parse_request_head(std::string_view(text).substr(0, *end));
}

std::string get(const std::string& fields, const std::string& uri = "http://example.com/a?b") {
  return "GET " + uri + " HTTP/1.1\r\nHost: example.com\r\n" + fields + "\r\n";
}

std::string error_of(const std::string& text) {
  const auto head = parse(text);
  return head ? "" : head.error().text;
}

TEST(RequestHead, OfAWholeUriIsWrittenAnew) {
  const auto head = parse(get("Accept: */*\r\nProxy-Connection: keep-alive\r\n"));
  ASSERT_TRUE(head) << head.error().text;
  EXPECT_EQ(head->destination.to_string(), "example.com:80");
  EXPECT_TRUE(head->keep_alive);
  EXPECT_EQ(write_request_head(*head),
            "GET /a?b HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nConnection: close\r\n\r\n");
}

TEST(RequestHead, LosesWhatIsBetweenNeighboursOnly) {
  const auto head = parse(
      get("Connection: X-Secret, keep-alive\r\nX-Secret: 1\r\nTE: trailers\r\nUpgrade: h2c\r\n"
          "Proxy-Authorization: Basic x\r\nKeep-Alive: 5\r\nX-Kept: 2\r\nTrailer: a\r\n"));
  ASSERT_TRUE(head) << head.error().text;
  ASSERT_EQ(head->fields.size(), 1u);
  EXPECT_EQ(head->fields[0].name, "X-Kept");
  for (const char* name : {"Host", "content-length", "Cookie"}) {
    EXPECT_NE(error_of(get("Connection: " + std::string(name) + "\r\n")), "") << name;
  }
}

TEST(RequestHead, OfConnectNamesAHostWithItsPort) {
  const auto head = parse("CONNECT example.com:443 HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(head) << head.error().text;
  EXPECT_TRUE(head->is_connect);
  EXPECT_EQ(head->destination.to_string(), "example.com:443");
  EXPECT_TRUE(parse("CONNECT a.b:443 HTTP/1.1\r\nHost: a.b\r\n\r\n"));
  for (const char* bad :
       {"CONNECT example.com HTTP/1.1\r\n\r\n", "CONNECT http://example.com:443/ HTTP/1.1\r\n\r\n",
        "CONNECT u@example.com:443 HTTP/1.1\r\n\r\n",
        "CONNECT example.com:443 HTTP/1.1\r\nHost: other.com:443\r\n\r\n",
        "CONNECT example.com:443 HTTP/1.1\r\nContent-Length: 4\r\n\r\n",
        "CONNECT example.com:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "CONNECT 127.1:443 HTTP/1.1\r\n\r\n"}) {
    EXPECT_NE(error_of(bad), "") << bad;
  }
}

TEST(RequestHead, RefusesWhatTwoReadersCouldTakeDifferently) {
  for (const char* fields : {"Content-Length: 1\r\nContent-Length: 1\r\n",
                             "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
                             "Content-Length: 1, 1\r\n",
                             "Content-Length: +1\r\n",
                             "Content-Length: -1\r\n",
                             "Content-Length: 0x1\r\n",
                             "Content-Length:\r\n",
                             "Content-Length: 99999999999999999999\r\n",
                             "Transfer-Encoding: gzip, chunked\r\n",
                             "Transfer-Encoding: xchunked\r\n",
                             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer-Encoding: identity\r\n",
                             "Host: example.com\r\n",
                             "Host: evil.com\r\n",
                             "X: a\r\n folded\r\n",
                             "X: a\r\n\tfolded\r\n",
                             "X : a\r\n",
                             " X: a\r\n",
                             "X\r\n",
                             ": a\r\n",
                             "X: a\rb\r\n",
                             "X: a\nY: b\r\n",
                             "X: a\x01\r\n",
                             "X[]: a\r\n",
                             "X: a\x7f\r\n"}) {
    EXPECT_NE(error_of(get(fields)), "") << fields;
  }
  EXPECT_NE(error_of(get(std::string("X: a\0b\r\n", 9))), "");
}

TEST(RequestHead, RefusesRequestsThatAreNotForAProxy) {
  for (const char* uri :
       {"/", "*", "https://example.com/", "ftp://example.com/", "http://", "http:///",
        "http://user@example.com/", "http://example.com/#x", "http://evil.com/",
        "http://example.com:81/", "http://exam ple.com/", "http://example.com:/", "example.com:80",
        "http://[::1/", "http://example.com\\@evil.com/"}) {
    EXPECT_NE(error_of(get("", uri)), "") << uri;
  }
  EXPECT_EQ(error_of(get("", "HTTP://EXAMPLE.com:80?q")), "");
  EXPECT_NE(error_of("GET http://example.com/ HTTP/1.1\r\n\r\n"), "");
  EXPECT_EQ(error_of("GET http://example.com/ HTTP/1.0\r\n\r\n"), "");
  EXPECT_NE(error_of("GET http://example.com/ HTTP/2.0\r\nHost: example.com\r\n\r\n"), "");
  EXPECT_NE(error_of("GET http://example.com/\r\nHost: example.com\r\n\r\n"), "");
  EXPECT_NE(error_of("\r\nGET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n"), "");
}

TEST(RequestHead, HasABoundAndIsTheSameInPieces) {
  EXPECT_EQ(parse(get("X: " + std::string(kHeadBytesMax, 'a') + "\r\n")).error().status, 431);
  std::string many;
  for (std::size_t i = 0; i <= kFieldsMax; ++i) many += "X: a\r\n";
  EXPECT_EQ(parse(get(many)).error().status, 431);
  const std::string text = get("A: b\r\n");
  HeadScan scan;
  for (std::size_t size = 1; size < text.size(); ++size) {
    EXPECT_EQ(find_head_end(std::string_view(text).substr(0, size), scan).value_or(9'999), 0u);
  }
  EXPECT_EQ(find_head_end(text, scan).value_or(0), text.size());
}

HeadResult<ResponseHead> answer(const std::string& text, bool to_head = false) {
  HeadScan scan;
  const auto end = find_head_end(text, scan);
  if (!end) return std::unexpected(end.error());
  return parse_response_head(std::string_view(text).substr(0, *end), to_head);
}

TEST(ResponseHead, TellsHowLongItsBodyIs) {
  EXPECT_EQ(answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")->body.length, 5u);
  EXPECT_EQ(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")->body.kind,
            BodyKind::kChunked);
  EXPECT_EQ(answer("HTTP/1.0 200\r\n\r\n")->body.kind, BodyKind::kUntilClose);
  EXPECT_EQ(answer("HTTP/1.1 204 x\r\n\r\n")->body.kind, BodyKind::kNone);
  EXPECT_EQ(answer("HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n", true)->body.kind,
            BodyKind::kNone);
  EXPECT_EQ(write_response_head(
                *answer("HTTP/1.1 200 OK\r\nConnection: close, X\r\nX: 1\r\nY: 2\r\n\r\n"), false),
            "HTTP/1.1 200 OK\r\nY: 2\r\nConnection: close\r\n\r\n");
}

TEST(ResponseHead, RefusesWhatIsNone) {
  for (const char* text : {"HTTP/2 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
                           "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}) {
    const auto head = answer(text);
    ASSERT_FALSE(head) << text;
    EXPECT_EQ(head.error().status, 502) << text;
  }
}

}  // namespace
}  // namespace airlock::egress
