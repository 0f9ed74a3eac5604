// Session: one connection, from accept to close.
//
// Reads a request, has it answered, writes the answer, and so on while both sides want it. Requests
// that came early (pipelining) wait in the buffer and are answered in order. Every wait has a
// deadline, which the server's ticker looks at; a connection whose deadline has passed is closed.
// What it holds counts against the server's budgets: a request that finds no room is refused with
// 503, an answer that finds none has the slowest reader of another cut off.
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
#include "http/server/memory_budget.h"
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
};

class Session final : public Exchange, public std::enable_shared_from_this<Session> {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // What all sessions of a server have in common; outlives them.
  struct Common {
    Handler& handler;
    SessionLimits limits;
    std::string date;          // the current Date header's value
    std::vector<char> buffer;  // for reading: a connection that waits has none of its own
    MemoryBudget requests;     // until they are answered
    MemoryBudget answers;      // until they are sent
    // Ends the connection whose answer has waited longest for its reader; false if there is none.
    std::function<bool()> cut_off_slowest;
  };

  Session(boost::asio::any_io_executor executor, std::shared_ptr<Transport> transport,
          Common& common);

  boost::asio::awaitable<void> run();
  void close_if_late(TimePoint now);
  // Nothing of it is being answered, nor has it told yet what it wants.
  bool is_waiting() const { return waiting_; }
  // Called after each answer.
  void on_served(std::function<void()> served) { served_ = std::move(served); }
  // No further request; an idle connection ends now.
  void drain();
  void close() {
    waiting_ = false;
    transport_->close();
  }
  // Since when an answer that counts waits for its reader; nothing if none does.
  std::optional<TimePoint> sending_since() const;
  // What it holds no longer counts: the server ends before it.
  void let_go();
  // Ends the connection, and what it holds no longer counts.
  void cut_off();

  const Request& request() const override { return request_; }
  std::string take_body() override { return std::exchange(request_.body, {}); }
  boost::asio::any_io_executor executor() override { return executor_; }
  void on_hangup(std::function<void()> gone) override { transport_->watch_hangup(std::move(gone)); }
  bool hold_result(std::size_t bytes) override;
  boost::asio::awaitable<bool> begin_stream(Response head) override;
  boost::asio::awaitable<bool> write(std::string_view piece) override;

 private:
  // False when the connection has no more of them.
  boost::asio::awaitable<bool> read_request();
  std::optional<Response> find_refusal(RequestParser& parser);
  boost::asio::awaitable<bool> answer();
  void hold_answer(std::size_t bytes);
  void release_answer();
  boost::asio::awaitable<bool> send(const Response& response);
  boost::asio::awaitable<void> refuse(Response response);
  boost::asio::awaitable<void> refuse_what_is_not_whole();
  Response no_room();
  boost::asio::awaitable<bool> end_stream();
  std::string head_of(const Response& response, bool chunked) const;
  void set_deadline(std::chrono::milliseconds from_now);

  boost::asio::any_io_executor executor_;
  std::shared_ptr<Transport> transport_;
  Common& common_;
  std::string pending_;  // read, and not taken by a request yet
  Request request_;
  MemoryBudget::Share request_share_;
  MemoryBudget::Share answer_share_;
  TimePoint deadline_;
  TimePoint sending_since_;
  std::uint32_t requests_ = 0;
  std::function<void()> served_;
  bool idle_ = true;
  bool waiting_ = true;
  bool reading_ = false;  // a request that has begun and is not whole yet
  bool late_ = false;
  bool sending_ = false;  // an answer, or a piece of one
  bool draining_ = false;
  bool streaming_ = false;
  bool head_only_ = false;  // the request that is answered is a HEAD
  bool keep_alive_ = true;
};

}  // namespace airlock::http
