// What a guest says to the egress gateway first: HTTP, SOCKS5, TLS.
//
// Whatever the bytes, a head that is accepted is written so that it is read the same again and
// names the same place; however they are cut, the same comes of them; and no name that is accepted
// could be taken for an address. The first byte of an input says what it is and how it is cut.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "egress/client_hello.h"
#include "egress/http_body.h"
#include "egress/http_head.h"
#include "egress/policy.h"
#include "egress/socks.h"

namespace airlock::egress {
namespace {

constexpr std::size_t kAddedFieldsMax = 3;  // Host, Transfer-Encoding, Connection

void check_destination(const Destination& to) {
  AIRLOCK_CHECK(to.port != 0);
  if (to.is_address) {
    AIRLOCK_CHECK(parse_address(to.host).has_value());
  } else {
    AIRLOCK_CHECK(parse_host_name(to.host) == to.host);
    AIRLOCK_CHECK(!is_address_like(to.host));
    AIRLOCK_CHECK(!parse_address(to.host).has_value());
  }
  AIRLOCK_CHECK(parse_destination(to.to_string(), 0) == to);
}

// A body in pieces ends where it ends in one.
void try_body(BodyFraming framing, std::string_view bytes, std::size_t piece) {
  BodyScanner whole(framing);
  const std::size_t taken = whole.take(bytes);
  AIRLOCK_CHECK_LE(taken, bytes.size());
  BodyScanner pieces(framing);
  std::size_t at = 0;
  while (at < bytes.size() && !pieces.done() && !pieces.broken()) {
    const std::size_t count = pieces.take(bytes.substr(at, piece));
    if (count == 0) break;
    at += count;
  }
  AIRLOCK_CHECK_EQ(at, taken);
  AIRLOCK_CHECK_EQ(whole.done(), pieces.done());
  AIRLOCK_CHECK_EQ(whole.broken(), pieces.broken());
}

void try_request(std::string_view bytes, std::size_t piece) {
  HeadScan at_once;
  const auto end = find_head_end(bytes, at_once);
  HeadScan scan;
  HeadResult<std::size_t> found = 0;
  for (std::size_t size = 0; found && *found == 0 && size < bytes.size();) {
    size = std::min(size + piece, bytes.size());
    found = find_head_end(bytes.substr(0, size), scan);
  }
  if (!end || *end == 0) return;
  AIRLOCK_CHECK(found.has_value());
  AIRLOCK_CHECK_EQ(*found, *end);
  const auto head = parse_request_head(bytes.substr(0, *end));
  if (!head) {
    AIRLOCK_CHECK(head.error().status >= 400 && !head.error().text.empty());
    return;
  }
  check_destination(head->destination);
  try_body(head->body, bytes.substr(*end), piece);
  if (head->is_connect) return;
  const std::string text = write_request_head(*head);
  // As its server reads it: one line for the request, one Host, no line that was not understood.
  AIRLOCK_CHECK(text.find("\r\n\r\n") == text.size() - 4);
  AIRLOCK_CHECK(text.find('\n') == text.find("\r\n") + 1);
  if (text.size() >= kHeadBytesMax) return;  // and here too long for us, by the same lines
  HeadScan again;
  AIRLOCK_CHECK_EQ(find_head_end(text, again).value_or(0), text.size());
  AIRLOCK_CHECK(head->path.starts_with('/'));
  AIRLOCK_CHECK(head->path.find_first_of(" \r\n") == std::string::npos);
  const std::string whole_uri = head->method + " http://" + head->destination.to_string() +
                                text.substr(head->method.size() + 1);
  const auto reread = parse_request_head(whole_uri);
  if (!reread) {
    // One at our limit has lines that we add: too many for us, not for its server.
    AIRLOCK_CHECK_EQ(reread.error().status, 431);
    AIRLOCK_CHECK(head->fields.size() + kAddedFieldsMax > kFieldsMax);
    return;
  }
  AIRLOCK_CHECK(reread->destination == head->destination);
  AIRLOCK_CHECK(reread->path == head->path);
  AIRLOCK_CHECK(reread->body.kind == head->body.kind && reread->body.length == head->body.length);
}

void try_response(std::string_view bytes, std::size_t piece) {
  HeadScan scan;
  const auto end = find_head_end(bytes, scan);
  if (!end || *end == 0) return;
  const auto head = parse_response_head(bytes.substr(0, *end), false);
  if (!head) return;
  const std::string text = write_response_head(*head, true);
  if (text.size() >= kHeadBytesMax) return;
  HeadScan again;
  AIRLOCK_CHECK_EQ(find_head_end(text, again).value_or(0), text.size());
  try_body(head->body, bytes.substr(*end), piece);
}

void try_hello(std::string_view bytes, std::size_t piece) {
  const Hello whole = ClientHelloReader().read(bytes);
  if (whole.kind == HelloKind::kName) { AIRLOCK_CHECK(parse_host_name(whole.name) == whole.name); }
  // What is decided of a beginning stays decided, and pieces make no difference.
  ClientHelloReader reader;
  for (std::size_t size = piece; size < bytes.size(); size += piece * 7) {
    const Hello part = reader.read(bytes.substr(0, size));
    if (part.kind == HelloKind::kIncomplete) continue;
    if (part.kind == HelloKind::kName) AIRLOCK_CHECK(part.name == whole.name);
    AIRLOCK_CHECK(part.kind == whole.kind);
    return;
  }
  AIRLOCK_CHECK(reader.read(bytes).kind == whole.kind);
}

void try_socks(std::string_view bytes) {
  const SocksGreeting greeting = read_socks_greeting(bytes);
  if (greeting.step == SocksStep::kTaken) AIRLOCK_CHECK_LE(greeting.size, bytes.size());
  AIRLOCK_CHECK_LE(greeting.size, kSocksBytesMax);
  const SocksRequest request = read_socks_request(bytes);
  if (request.step != SocksStep::kTaken) return;
  AIRLOCK_CHECK_LE(request.size, bytes.size());
  check_destination(request.destination);
}

void try_rule(std::string_view text) {
  const auto rule = parse_rule(text);
  if (!rule) return;
  AIRLOCK_CHECK(rule->covers(*rule));
  const auto again = parse_rule(rule->to_string());
  AIRLOCK_CHECK(again.has_value() && *again == *rule);
}

}  // namespace

void try_bytes(std::uint8_t first, std::string_view text) {
  const std::size_t piece = first / 5 + 1u;
  switch (first % 5) {
    case 0: try_request(text, piece); break;
    case 1: try_response(text, piece); break;
    case 2: try_hello(text, piece); break;
    case 3: try_socks(text); break;
    default: try_rule(text); break;
  }
}

}  // namespace airlock::egress

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // Why safe: libFuzzer's buffer lives for the whole call, and char may alias anything.
  airlock::egress::try_bytes(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}
