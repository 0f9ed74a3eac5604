// CONNECT and SOCKS5: tunnels, of which the beginning is looked at.
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <string>
#include <utility>

#include "egress/client_hello.h"
#include "egress/connection.h"
#include "egress/flow_meter.h"

namespace airlock::egress {
namespace {

namespace asio = boost::asio;

// A fatal alert, for a client that waits for a ServerHello: RFC 8446, 6.2.
std::string tls_alert(char description) {
  std::string alert("\x15\x03\x01\x00\x02\x02", 6);
  return alert + description;
}
constexpr char kUnrecognizedName = 112;
constexpr char kMissingExtension = 109;
constexpr char kDecodeError = 50;

}  // namespace

asio::awaitable<void> Connection::serve_socks() {
  SocksGreeting greeting = read_socks_greeting(from_client_);
  while (greeting.step == SocksStep::kIncomplete) {
    if (!co_await fill()) co_return;
    greeting = read_socks_greeting(from_client_);
  }
  if (!co_await say(socks_method(greeting.step == SocksStep::kTaken))) co_return;
  if (greeting.step != SocksStep::kTaken) {
    context_.ledger.malformed("SOCKS5 without the method \"no authentication\"");
    co_return co_await linger();
  }
  from_client_.erase(0, greeting.size);
  wait_until(context_.budget.header_timeout);
  SocksRequest request = read_socks_request(from_client_);
  while (request.step == SocksStep::kIncomplete) {
    if (!co_await fill()) co_return;
    request = read_socks_request(from_client_);
  }
  if (request.step == SocksStep::kRefused) {
    context_.ledger.malformed("a SOCKS5 request that is not served");
    co_await say(socks_reply(request.reply));
    co_return co_await linger();
  }
  from_client_.erase(0, request.size);
  if (const auto refusal = co_await open_server(request.destination)) {
    co_await say(socks_reply(refusal->reply));
    co_return co_await linger();
  }
  if (!co_await say(socks_reply(SocksReply::kSucceeded))) co_return;
  co_await tunnel(request.destination);
}

asio::awaitable<void> Connection::serve_connect(const RequestHead& head) {
  if (const auto refusal = co_await open_server(head.destination)) {
    co_await answer(head.destination, *refusal, false);
    co_return co_await linger();
  }
  if (!co_await say("HTTP/1.1 200 Connection established\r\n\r\n")) co_return;
  co_await tunnel(head.destination);
}

// Whether what the client says first may be passed on; it is in from_client_ then.
asio::awaitable<bool> Connection::check_hello(const Destination& to) {
  wait_until(context_.budget.header_timeout);
  ClientHelloReader reader;
  Hello hello = reader.read(from_client_);
  while (hello.kind == HelloKind::kIncomplete && from_client_.size() < kHelloBytesMax) {
    if (!co_await fill()) co_return false;
    hello = reader.read(from_client_);
  }
  if (hello.kind == HelloKind::kName && hello.name == to.host) co_return true;
  Verdict verdict{.allowed = false,
                  .protocol = Protocol::kTls,
                  .reason = {},
                  .fix = "name the same host to TLS (SNI) and to the proxy"};
  char alert = kDecodeError;
  switch (hello.kind) {
    case HelloKind::kName:
      verdict.reason = "TLS for another host (" + hello.name + ")";
      alert = kUnrecognizedName;
      break;
    case HelloKind::kNoName:
      verdict.reason = "TLS without the name of a host";
      alert = kMissingExtension;
      break;
    case HelloKind::kNotTls:
      verdict.reason = "a tunnel that does not carry TLS";
      verdict.fix =
          "plain http goes through the proxy without a tunnel; for other protocols the "
          "allow-list has tcp://" +
          to.to_string();
      break;
    default: verdict.reason = "a broken ClientHello"; break;
  }
  (void)refuse(to, verdict);
  if (hello.kind != HelloKind::kNotTls) co_await say(tls_alert(alert));
  co_await linger();
  co_return false;
}

asio::awaitable<void> Connection::tunnel(const Destination& to) {
  using asio::experimental::awaitable_operators::operator&&;
  if (protocol_ == Protocol::kTls && !co_await check_hello(to)) co_return;
  FlowMeter out(context_.ledger, *line_, Ledger::Direction::kOut, destination_, context_.clock,
                context_.budget.idle_timeout, deadline_);
  FlowMeter in(context_.ledger, *line_, Ledger::Direction::kIn, destination_, context_.clock,
               context_.budget.idle_timeout, deadline_);
  timed_out_ = true;  // who is silent for too long from here on is told nothing
  out.touch();
  const std::string early = std::exchange(from_client_, {});
  if (!early.empty() && (!out.pass(early.size()) || !co_await write_all(server_, early, out))) {
    co_return;
  }
  // Either direction that fails takes the other with it.
  const auto one_way = [this](Socket& from, Socket& into, Meter& meter) -> asio::awaitable<void> {
    if (!co_await relay(from, into, meter, context_.pipes)) close();
  };
  co_await (one_way(client_, server_, out) && one_way(server_, client_, in));
}

}  // namespace airlock::egress
