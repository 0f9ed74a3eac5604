#include "http/server/session.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace airlock::http {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kBudget = 100 * 1024;
constexpr std::size_t kMost = 90 * 1024;  // of the budget: another one finds no room beside it

// A peer that takes nothing until the connection is closed.
class StuckTransport final : public Transport {
 public:
  explicit StuckTransport(asio::io_context& context)
      : closed_(context, asio::steady_timer::time_point::max()) {}
  asio::awaitable<std::size_t> read_some(std::span<char>) override {
    co_await wait();
    co_return 0;
  }
  asio::awaitable<bool> write_all(std::string_view, std::string_view) override {
    co_await wait();
    co_return false;
  }
  void watch_hangup(std::function<void()>) override {}
  void end_reading() override {}
  asio::awaitable<void> close_gently() override { co_return close(); }
  void close() override {
    is_closed = true;
    closed_.cancel();
  }

  bool is_closed = false;

 private:
  asio::awaitable<void> wait() {
    boost::system::error_code error;
    if (!is_closed) co_await closed_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
  asio::steady_timer closed_;
};

class NoHandler final : public Handler {
 public:
  bool admits(const Request&, Response*) override { return false; }
  asio::awaitable<Response> handle(Exchange&) override { co_return Response{}; }
  Response refuse(int status, std::string_view) override { return {.status = status}; }
  void report(std::string_view, std::string_view) override {}
};

struct Connection {
  std::shared_ptr<StuckTransport> transport;
  std::shared_ptr<Session> session;
};

class SessionTest : public testing::Test {
 protected:
  ~SessionTest() override {
    for (const Connection& one : connections_) one.session->close();
    context_.run();
  }
  Session& connect() {
    auto transport = std::make_shared<StuckTransport>(context_);
    auto session = std::make_shared<Session>(context_.get_executor(), transport, common_);
    connections_.push_back({transport, session});
    return *session;
  }
  void begin_sending(Session& session) {
    asio::co_spawn(
        context_,
        [&session]() -> asio::awaitable<void> { co_await session.write(std::string(kMost, 'x')); },
        asio::detached);
    context_.poll();
  }
  // As the server does: who has waited longest for its reader.
  bool cut_off_slowest() {
    for (const Connection& one : connections_) {
      if (!one.session->sending_since()) continue;
      one.session->cut_off();
      return true;
    }
    return false;
  }

  asio::io_context context_;
  NoHandler handler_;
  Session::Common common_{
      handler_, {}, "", std::vector<char>(1), MemoryBudget(kBudget), MemoryBudget(kBudget), [this] {
        return cut_off_slowest();
      }};
  std::vector<Connection> connections_;
};

TEST_F(SessionTest, AResultCountsBeforeItIsSent) {
  EXPECT_TRUE(connect().hold_result(kMost));
  EXPECT_GT(common_.answers.held(), 0u);
  EXPECT_FALSE(connect().hold_result(kMost));
  EXPECT_TRUE(connect().hold_result(kFreeShareBytes)) << "what is small never counts";
}

TEST_F(SessionTest, OneThatIsLargerThanAllRoomIsHeldAlone) {
  Session& first = connect();
  EXPECT_TRUE(first.hold_result(2 * kBudget));
  EXPECT_FALSE(connect().hold_result(kMost));
  first.cut_off();
  EXPECT_EQ(common_.answers.held(), 0u);
  EXPECT_TRUE(connect().hold_result(kMost));
}

TEST_F(SessionTest, AReaderThatIsSlowGivesWayAndWhoIsNotSendingYetDoesNot) {
  Session& waits = connect();
  EXPECT_TRUE(waits.hold_result(20 * 1024));
  begin_sending(connect());
  EXPECT_TRUE(connect().hold_result(kMost));
  EXPECT_FALSE(connections_[0].transport->is_closed);
  EXPECT_TRUE(connections_[1].transport->is_closed);
}

}  // namespace
}  // namespace airlock::http
