// Server: listeners, their connections, and the one thread that serves them.
//
// Accepts up to `connections_max`. For what comes beyond, the connection is closed that has waited
// longest without a request; while each has one, it waits in the kernel's queue until one ends.
// What connections hold stays within two budgets, or nearly: a single answer may be larger than its
// budget. drain(): no new connections, idle ones are closed, the others finish their request.
// Everything runs on the io_context's thread; post() to get there from others.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "http/server/exchange.h"
#include "http/server/session.h"

namespace airlock::http {

struct ServerLimits {
  SessionLimits session;
  std::size_t connections_max = 16'384;
  // Of all connections together: bodies until they are answered, answers until they are sent.
  std::size_t request_bytes_max = std::size_t{128} << 20;
  std::size_t answer_bytes_max = std::size_t{128} << 20;
};

class Server {
 public:
  Server(boost::asio::io_context& context, Handler& handler, const ServerLimits& limits);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // A socket that listens already.
  base::Status listen(base::UniqueFd socket);
  void drain();
  std::size_t request_bytes_held() const { return common_.requests.held(); }
  std::size_t answer_bytes_held() const { return common_.answers.held(); }
  // Nothing is left to be answered.
  bool idle() const { return sessions_.empty(); }

 private:
  struct Listener;
  boost::asio::awaitable<void> accept(Listener& listener);
  boost::asio::awaitable<void> serve(std::shared_ptr<Session> session);
  bool make_room();
  bool cut_off_slowest();
  void tick();

  boost::asio::io_context& context_;
  const std::size_t connections_max_;
  Session::Common common_;
  boost::asio::steady_timer ticker_;
  boost::asio::steady_timer room_;  // cancelled when a connection has ended, which wakes who waits
  std::list<std::unique_ptr<Listener>> listeners_;
  std::list<std::shared_ptr<Session>> sessions_;  // the one that was served last at the end
  bool draining_ = false;
};

}  // namespace airlock::http
