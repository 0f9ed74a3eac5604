// Exchange: one request that is being answered, as a handler sees it.
//
// A handler is a coroutine on the server's one thread: it must not block, and it returns the
// response, unless it has begun a stream; then what it returns is left unsent. A client that hangs
// up meanwhile is told by `on_hangup`, once, on the same thread; the handler still runs to its end.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "http/server/message.h"

namespace airlock::http {

class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;
  // The body, which is then no longer held for as long as the request is answered.
  virtual std::string take_body() = 0;
  virtual boost::asio::any_io_executor executor() = 0;
  virtual void on_hangup(std::function<void()> gone) = 0;
  // Counts so many bytes as the answer's from now on, before it has its form. False if the answers
  // of all connections leave no room for it; then it is to be a small one.
  virtual bool hold_result(std::size_t bytes) = 0;
  // Sends the head of a response whose length nobody knows yet.
  virtual boost::asio::awaitable<bool> begin_stream(Response head) = 0;
  // One piece of it, at once; false when the client is gone.
  virtual boost::asio::awaitable<bool> write(std::string_view piece) = 0;
};

// What answers requests: everything that is not bytes and connections.
class Handler {
 public:
  virtual ~Handler() = default;
  // Before the body is read: a response refuses the request, nothing lets it come in.
  virtual bool admits(const Request& head, Response* refusal) = 0;
  virtual boost::asio::awaitable<Response> handle(Exchange& exchange) = 0;
  // For what never became a request, or found no room.
  virtual Response refuse(int status, std::string_view message) = 0;
  // What an operator should know: an exception of handle(), a client that was cut off.
  virtual void report(std::string_view event, std::string_view reason) = 0;
};

}  // namespace airlock::http
