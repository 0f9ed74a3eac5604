#include "http/server/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <ctime>
#include <exception>
#include <utility>

#include "base/crash_point.h"
#include "http/server/tcp_transport.h"

namespace airlock::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::chrono::milliseconds kTick{250};
constexpr std::size_t kReadBytes = 64 * 1024;
// After accept has failed for want of descriptors or memory: somebody has to end first.
constexpr std::chrono::milliseconds kAcceptPause{50};

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 64> text;
  const std::size_t size =
      std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text.data(), size};
}

}  // namespace

struct Server::Listener {
  explicit Listener(asio::io_context& context) : acceptor(context) {}
  tcp::acceptor acceptor;
};

Server::Server(asio::io_context& context, Handler& handler, const ServerLimits& limits)
    : context_(context),
      connections_max_(limits.connections_max),
      common_{handler,
              limits.session,
              http_date(),
              std::vector<char>(kReadBytes),
              MemoryBudget(limits.request_bytes_max),
              MemoryBudget(limits.answer_bytes_max),
              [this] { return cut_off_slowest(); }},
      ticker_(context),
      room_(context, asio::steady_timer::time_point::max()) {
  tick();
}

Server::~Server() {
  // Their coroutines belong to the context, which may live longer than the budgets here.
  for (const auto& session : sessions_) {
    session->close();
    session->let_go();
  }
}

base::Status Server::listen(base::UniqueFd socket) {
  int family = 0;
  socklen_t size = sizeof family;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) {
    return base::fail_errno("listen");
  }
  auto listener = std::make_unique<Listener>(context_);
  boost::system::error_code error;
  listener->acceptor.assign(family == AF_INET6 ? tcp::v6() : tcp::v4(), socket.get(), error);
  if (error) return base::fail(base::errno_error("listen", error.value()));
  (void)socket.release();
  Listener& kept = *listeners_.emplace_back(std::move(listener));
  asio::co_spawn(context_, accept(kept), asio::detached);
  return {};
}

asio::awaitable<void> Server::accept(Listener& listener) {
  while (!draining_) {
    boost::system::error_code error;
    // Nobody has to go before somebody has come.
    co_await listener.acceptor.async_wait(tcp::acceptor::wait_read,
                                          asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) break;
    if (sessions_.size() >= connections_max_ && !make_room()) {
      co_await room_.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    tcp::socket socket(context_);
    co_await listener.acceptor.async_accept(socket,
                                            asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) break;
    if (error) {
      asio::steady_timer pause(context_, kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    base::crash_point("accepted");
    auto session = std::make_shared<Session>(context_.get_executor(),
                                             make_tcp_transport(std::move(socket)), common_);
    asio::co_spawn(context_, serve(std::move(session)), asio::detached);
  }
}

// Its coroutine takes itself out of the list, a moment later.
bool Server::make_room() {
  const auto place = std::ranges::find_if(
      sessions_, [](const std::shared_ptr<Session>& session) { return session->is_waiting(); });
  if (place == sessions_.end()) return false;
  (*place)->close();
  return true;
}

asio::awaitable<void> Server::serve(std::shared_ptr<Session> session) {
  const auto place = sessions_.insert(sessions_.end(), session);
  session->on_served([this, place] { sessions_.splice(sessions_.end(), sessions_, place); });
  try {
    co_await session->run();
  } catch (const std::exception&) { session->close(); }  // no memory: others may still have some
  sessions_.erase(place);
  room_.cancel();
}

void Server::drain() {
  draining_ = true;
  for (const auto& listener : listeners_) {
    boost::system::error_code ignored;
    listener->acceptor.close(ignored);
  }
  for (const auto& session : sessions_) session->drain();
}

bool Server::cut_off_slowest() {
  Session* slowest = nullptr;
  for (const auto& session : sessions_) {
    const auto since = session->sending_since();
    if (since && (slowest == nullptr || *since < slowest->sending_since())) slowest = session.get();
  }
  if (slowest == nullptr) return false;
  slowest->cut_off();
  common_.handler.report("http.cut_off", "unread answers of others fill the memory kept for them");
  return true;
}

void Server::tick() {
  const auto now = std::chrono::steady_clock::now();
  for (const auto& session : sessions_) session->close_if_late(now);
  common_.date = http_date();
  ticker_.expires_after(kTick);
  ticker_.async_wait([this](boost::system::error_code error) {
    if (!error) tick();
  });
}

}  // namespace airlock::http
