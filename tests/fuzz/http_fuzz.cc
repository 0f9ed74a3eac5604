// The bytes of a connection: requests, and what is decided by their heads alone.
//
// However the bytes are cut into pieces, the same requests come of them, or a refusal. What
// comes of them is well-formed and within its limits. The first byte of an input says how it is
// cut.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "http/access.h"
#include "http/cors.h"
#include "http/gzip.h"
#include "http/server/request_parser.h"

namespace airlock::http {
namespace {

constexpr std::size_t kRequestsMax = 16;  // of one input

ParserLimits small_limits() {
  return {.header_bytes_max = 1'024, .body_bytes_max = 4'096, .headers_max = 10};
}

struct Parsed {
  std::vector<Request> requests;
  int failure = 0;
  bool waits = false;  // the bytes ended in the middle of a request
};

void check_request(const Request& request, const ParserLimits& limits) {
  AIRLOCK_CHECK(request.path.starts_with('/'));
  AIRLOCK_CHECK(request.path.find_first_of(" \r\n?") == std::string::npos);
  AIRLOCK_CHECK(!request.method.empty());
  AIRLOCK_CHECK_LE(request.body.size(), limits.body_bytes_max);
  AIRLOCK_CHECK_LE(request.headers.size(), limits.headers_max);
  AIRLOCK_CHECK_LE(request.count_headers("Host"), 1u);
  AIRLOCK_CHECK_LE(request.count_headers("Content-Length"), 1u);
  const bool has_length = request.count_headers("Content-Length") > 0;
  AIRLOCK_CHECK(!has_length || request.count_headers("Transfer-Encoding") == 0);
  if (request.method == "GET" || request.method == "HEAD") AIRLOCK_CHECK(request.body.empty());
  if (has_length) {
    AIRLOCK_CHECK_EQ(std::to_string(request.body.size()),
                     std::to_string(std::stoull(std::string(request.header("Content-Length")))));
  }
  for (const Header& header : request.headers) {
    AIRLOCK_CHECK(!header.name.empty());
    AIRLOCK_CHECK(header.name.find_first_of("\r\n: ") == std::string::npos);
    AIRLOCK_CHECK(header.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  }
}

// As Session does it, in pieces of that many bytes.
Parsed parse(std::string_view bytes, std::size_t piece, const ParserLimits& limits) {
  Parsed parsed;
  std::string pending;
  while (parsed.requests.size() < kRequestsMax) {
    RequestParser parser(limits);
    for (;;) {
      const std::size_t taken = parser.feed(pending);
      AIRLOCK_CHECK_LE(taken, pending.size());
      pending.erase(0, taken);
      AIRLOCK_CHECK_LE(parser.body_bytes(), limits.body_bytes_max);
      AIRLOCK_CHECK(!(parser.complete() && parser.failure().status != 0));
      if (parser.complete() || parser.failure().status != 0) break;
      if (bytes.empty()) {
        parsed.waits = true;
        return parsed;
      }
      const std::size_t count = std::min(piece, bytes.size());
      pending += bytes.substr(0, count);
      bytes.remove_prefix(count);
    }
    parsed.failure = parser.failure().status;
    if (parsed.failure != 0) {
      AIRLOCK_CHECK(parsed.failure >= 400 && parsed.failure < 600);
      AIRLOCK_CHECK(!parser.failure().message.empty());
      return parsed;
    }
    parsed.requests.push_back(parser.take());
  }
  return parsed;
}

bool is_same(const Request& a, const Request& b) {
  const auto same = [](const Header& x, const Header& y) {
    return x.name == y.name && x.value == y.value;
  };
  return a.method == b.method && a.path == b.path && a.query == b.query && a.body == b.body &&
         a.keep_alive == b.keep_alive && std::ranges::equal(a.headers, b.headers, same);
}

// What a page must not be told, or do, unless its origin is named.
void check_head(const Request& head) {
  const AccessPolicy keyless{
      .key = "", .hosts = loopback_hosts(), .origins = {"https://a.example"}};
  const bool named = head.header("Origin") == "https://a.example";
  const auto headers = cors_headers(keyless, head);
  AIRLOCK_CHECK_EQ(headers.size() > 1, named);
  if (is_preflight(keyless, head)) AIRLOCK_CHECK(named);
  if (!check_access(keyless, head)) {
    AIRLOCK_CHECK(head.count_headers("Host") == 1);
    AIRLOCK_CHECK(head.count_headers("Origin") == 0 || named ||
                  head.header("Origin").ends_with(head.header("Host")));
  }
  const AccessPolicy keyed{.key = "0123456789abcdef", .hosts = {}, .origins = {}};
  if (!check_access(keyed, head)) {
    AIRLOCK_CHECK(head.header("Authorization").ends_with(keyed.key) ||
                  head.header("X-API-Key") == keyed.key);
  }
  if (accepts_gzip(head.header("Accept-Encoding"))) {
    AIRLOCK_CHECK(head.header("Accept-Encoding").find_first_of("gG*") != std::string_view::npos);
  }
}

void try_bytes(std::string_view bytes, std::size_t piece) {
  const ParserLimits limits = small_limits();
  const Parsed whole = parse(bytes, std::max<std::size_t>(bytes.size(), 1), limits);
  const Parsed pieces = parse(bytes, piece, limits);
  AIRLOCK_CHECK_EQ(whole.requests.size(), pieces.requests.size());
  // Bytes that can never become a request are refused as soon as Beast sees it, which depends on
  // the pieces; who waits for more of them is ended by the deadline of the head.
  if ((whole.failure != 0) != (pieces.failure != 0)) {
    AIRLOCK_CHECK((whole.failure != 0 ? pieces : whole).waits);
  }
  for (std::size_t i = 0; i < whole.requests.size(); ++i) {
    AIRLOCK_CHECK(is_same(whole.requests[i], pieces.requests[i]));
    check_request(whole.requests[i], limits);
    check_head(whole.requests[i]);
  }
}

}  // namespace
}  // namespace airlock::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // Why safe: libFuzzer's buffer lives for the whole call, and char may alias anything.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  airlock::http::try_bytes(text.substr(1), static_cast<std::size_t>(data[0] % 64) + 1);
  if (const auto origin = airlock::http::parse_origin(text.substr(1))) {
    AIRLOCK_CHECK(*origin == text.substr(1));
    AIRLOCK_CHECK(origin->find_first_of(" \r\n,") == std::string::npos);
  }
  return 0;
}
