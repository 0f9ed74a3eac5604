// Connection: one client of the gateway, from its first byte to its last.
//
// The first byte says what it speaks: SOCKS5, or HTTP with CONNECT or whole URIs. Each request is
// judged by itself, also on a connection that is kept alive: by name, then by every address that
// the name leads to; and what is connected to is an address that was judged. A tunnel carries TLS
// for the host that was asked for, and nothing else unless the policy says so. A refusal is
// answered in the client's own words, and is in the ledger.
//
// For the one thread of the gateway. `run` holds on to it until it has ended.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "egress/budget.h"
#include "egress/http_body.h"
#include "egress/http_head.h"
#include "egress/ledger.h"
#include "egress/policy.h"
#include "egress/relay.h"
#include "egress/resolver.h"
#include "egress/socks.h"

namespace airlock::egress {

// Whatever a connection needs of its session and gateway, which outlive it.
struct ConnectionContext {
  boost::asio::io_context& io;
  Resolver& resolver;
  PipePool& pipes;
  const base::Clock& clock;
  const Policy& policy;
  const Budget& budget;
  Ledger& ledger;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Time = std::chrono::steady_clock::time_point;

  Connection(Socket client, const ConnectionContext& context);

  boost::asio::awaitable<void> run();
  // Says that there are too many of them, and ends.
  boost::asio::awaitable<void> turn_away();
  // Whatever it waits for ends at once.
  void close();
  // Ends what has waited too long.
  void check_deadline(Time now);

 private:
  // Why there is no connection to where the client wants to go.
  struct Refusal {
    int status = 403;
    SocksReply reply = SocksReply::kNotAllowed;
    std::string reason;
    std::string fix;
  };

  // connection.cc
  boost::asio::awaitable<bool> fill();
  boost::asio::awaitable<bool> say(std::string text);
  boost::asio::awaitable<void> linger();
  boost::asio::awaitable<std::optional<Refusal>> open_server(const Destination& to);
  boost::asio::awaitable<std::optional<Refusal>> connect_first(const Destination& to,
                                                               const std::vector<Address>& found);
  boost::asio::awaitable<int> connect_to(const Address& address, std::uint16_t port);
  boost::asio::awaitable<std::vector<Address>> find_addresses(const Destination& to,
                                                              std::optional<Refusal>& refusal);
  Refusal refuse(const Destination& to, const Verdict& verdict);
  Refusal fail(const Destination& to, int status, SocksReply reply, std::string reason);
  void wait_until(std::chrono::milliseconds from_now);

  // connection_tunnel.cc
  boost::asio::awaitable<void> serve_socks();
  boost::asio::awaitable<void> serve_connect(const RequestHead& head);
  boost::asio::awaitable<void> tunnel(const Destination& to);
  boost::asio::awaitable<bool> check_hello(const Destination& to);

  // connection_http.cc
  boost::asio::awaitable<void> serve_http();
  boost::asio::awaitable<std::optional<RequestHead>> read_request();
  boost::asio::awaitable<bool> forward(const RequestHead& head);
  boost::asio::awaitable<bool> upload(BodyScanner& body, const bool& answered);
  boost::asio::awaitable<bool> download(const RequestHead& head, bool& keep_alive);
  boost::asio::awaitable<std::optional<ResponseHead>> read_response(bool answers_head);
  boost::asio::awaitable<bool> download_body(BodyScanner& body);
  boost::asio::awaitable<bool> answer(const Destination& to, const Refusal& refusal,
                                      bool keep_alive);
  boost::asio::awaitable<void> answer_malformed(const HeadError& error);

  Socket client_;
  Socket server_;
  const ConnectionContext& context_;
  std::string from_client_;  // read and not used yet
  std::string from_server_;
  Destination destination_;  // of server_
  Protocol protocol_ = Protocol::kTls;
  Ledger::Line* line_ = nullptr;  // of what is connected
  Time deadline_;
  bool connecting_ = false;  // the deadline is that of the server
  bool timed_out_ = false;
  bool closed_ = false;
};

}  // namespace airlock::egress
