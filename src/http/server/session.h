// Session: one connection, from accept to close.
//
// Reads a request, has it answered, writes the answer, and so on while both sides want it. Requests
// that came early (pipelining) wait in the buffer and are answered in order. Every wait has a
// deadline, which the server's ticker looks at; a connection whose deadline has passed is closed.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/server/exchange.h"
#include "http/server/request_parser.h"
#include "http/server/transport.h"

namespace airlock::http {

struct SessionLimits {
  ParserLimits parser;
  std::chrono::milliseconds idle_max{75'000};   // between two requests
  std::chrono::milliseconds head_max{10'000};   // from the first byte to the last of the head
  std::chrono::milliseconds body_max{60'000};   // of the body, all of it
  std::chrono::milliseconds write_max{30'000};  // of a response, or of a piece of a stream
  std::uint32_t requests_max = 1'000'000;       // on one connection
  // Of all connections together: requests from their first byte until they are answered, and
  // answers until they are sent.
  std::size_t requests_bytes_max = std::size_t{512} << 20;
  std::size_t answers_bytes_max = std::size_t{512} << 20;
};

// A request or an answer that is no longer is never in the way of others.
inline constexpr std::size_t kSmallBytes = 64 * 1024;

class Session final : public Exchange, public std::enable_shared_from_this<Session> {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // What all sessions of a server have in common; outlives them.
  struct Common {
    Handler& handler;
    SessionLimits limits;
    std::function<void()> relieve;  // too many answers wait for slow readers: one has to go
    std::string date;               // the current Date header's value
    std::vector<char> buffer;       // for reading: a connection that waits has none of its own
    std::size_t requests_bytes = 0;
    std::size_t answers_bytes = 0;
  };

  Session(boost::asio::any_io_executor executor, std::shared_ptr<Transport> transport,
          Common& common);

  boost::asio::awaitable<void> run();
  void close_if_late(TimePoint now);
  // Nothing of it is being answered, nor has it told yet what it wants.
  bool is_waiting() const { return waiting_; }
  // After run(): what it held is no longer counted.
  void let_go();
  // Since when an answer that is not small is being sent; nothing if none is.
  std::optional<TimePoint> sending_since() const;
  // Called after each answer.
  void on_served(std::function<void()> served) { served_ = std::move(served); }
  // No further request; an idle connection ends now.
  void drain();
  void close() {
    waiting_ = false;
    transport_->close();
  }

  const Request& request() const override { return request_; }
  std::string take_body() override { return std::exchange(request_.body, {}); }
  boost::asio::any_io_executor executor() override { return executor_; }
  void on_hangup(std::function<void()> gone) override { transport_->watch_hangup(std::move(gone)); }
  boost::asio::awaitable<bool> begin_stream(Response head) override;
  boost::asio::awaitable<bool> write(std::string_view piece) override;

 private:
  // False when the connection has no more of them.
  boost::asio::awaitable<bool> read_request();
  boost::asio::awaitable<bool> answer();
  boost::asio::awaitable<bool> send(const Response& response);
  boost::asio::awaitable<void> refuse(Response response);
  boost::asio::awaitable<void> refuse_what_is_not_whole();
  boost::asio::awaitable<bool> end_stream();
  std::string head_of(const Response& response, bool chunked) const;
  void set_deadline(std::chrono::milliseconds from_now);
  void count_request(std::size_t bytes);
  void count_answer(std::size_t bytes);

  boost::asio::any_io_executor executor_;
  std::shared_ptr<Transport> transport_;
  Common& common_;
  std::string pending_;  // read, and not taken by a request yet
  Request request_;
  TimePoint deadline_;
  std::uint32_t requests_ = 0;
  std::function<void()> served_;
  std::size_t request_bytes_ = 0;
  std::size_t answer_bytes_ = 0;
  TimePoint sending_since_;
  bool idle_ = true;
  bool waiting_ = true;
  bool reading_ = false;  // a request that has begun and is not whole yet
  bool late_ = false;
  bool draining_ = false;
  bool streaming_ = false;
  bool head_only_ = false;  // the request that is answered is a HEAD
  bool keep_alive_ = true;
};

}  // namespace airlock::http
