#include "egress/gateway.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <future>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "egress/connection.h"

namespace airlock::egress {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::chrono::milliseconds kSweepEvery{250};
// After accept has failed for want of descriptors: somebody has to end first.
constexpr std::chrono::milliseconds kAcceptPause{50};
// That are told why they are turned away; more are closed without a word.
constexpr std::uint32_t kTurnedAwayMax = 64;

}  // namespace

// The thread of a gateway and what all sessions share there.
class Gateway::Loop {
 public:
  explicit Loop(std::uint32_t connections_max) : connections_left(connections_max) {}
  ~Loop() {
    io.stop();
    if (thread.joinable()) thread.join();
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  base::Status start(const std::vector<std::string>& dns_servers) {
    const std::lock_guard lock(starting);
    if (resolver != nullptr) return {};
    AIRLOCK_ASSIGN(resolver, Resolver::make(io, dns_servers));
    try {
      thread = std::thread([this] { run(); });
    } catch (const std::system_error& error) {
      resolver.reset();
      return base::fail(base::errno_error("start the egress gateway", error.code().value()));
    }
    return {};
  }

  asio::io_context io{1};
  PipePool pipes;
  Totals totals;
  std::unique_ptr<Resolver> resolver;
  std::uint32_t connections_left;

 private:
  // Signals are for the threads that wait for them; a peer that is gone is an error of a write.
  void run() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    io.run();
  }

  asio::executor_work_guard<asio::io_context::executor_type> work_{io.get_executor()};
  std::mutex starting;
  std::thread thread;
};

// What is of the loop's thread, and the ledger, which any may read.
class Session::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(Gateway::Loop& loop, const base::Clock& clock, Policy policy, Budget budget)
      : loop_(loop),
        clock_(clock),
        policy_(std::move(policy)),
        budget_(budget),
        ledger_(budget.bytes_max, loop.totals),
        context_{loop.io, *loop.resolver, loop.pipes, clock, policy_, budget_, ledger_},
        acceptor_(loop.io),
        ticker_(loop.io) {}

  base::Status open(base::UniqueFd listener);
  SessionEnd close();
  const Ledger& ledger() const { return ledger_; }

 private:
  using Connections = std::list<std::shared_ptr<Connection>>;

  asio::awaitable<void> accept();
  asio::awaitable<void> serve(std::shared_ptr<Connection> connection);
  asio::awaitable<void> turn_away(std::shared_ptr<Connection> connection);
  void take(tcp::socket socket);
  void sweep();
  SessionEnd close_here();

  Gateway::Loop& loop_;
  const base::Clock& clock_;
  const Policy policy_;
  const Budget budget_;
  Ledger ledger_;
  const ConnectionContext context_;
  tcp::acceptor acceptor_;
  asio::steady_timer ticker_;
  Connections connections_;
  Connections turned_away_;
  bool closed_ = false;
};

base::Status Session::Core::open(base::UniqueFd listener) {
  int family = 0;
  int listens = 0;
  socklen_t size = sizeof family;
  if (::getsockopt(listener.get(), SOL_SOCKET, SO_DOMAIN, &family, &size) != 0 ||
      ::getsockopt(listener.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0) {
    return base::fail_errno("listener of the sandbox");
  }
  // A container's listener is a unix socket (link/tunnel.h), of which nothing else is asked than of
  // one of TCP: the name of the protocol is Asio's only.
  const bool known = family == AF_INET || family == AF_INET6 || family == AF_UNIX;
  if (!known || listens == 0) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "listener of the sandbox: not a listening socket");
  }
  boost::system::error_code error;
  acceptor_.assign(family == AF_INET6 ? tcp::v6() : tcp::v4(), listener.get(), error);
  if (error) return base::fail(base::errno_error("listener of the sandbox", error.value()));
  (void)listener.release();
  asio::post(loop_.io, [self = shared_from_this()] {
    if (self->closed_) return;
    self->sweep();
    asio::co_spawn(self->loop_.io, self->accept(), asio::detached);
  });
  return {};
}

asio::awaitable<void> Session::Core::accept() {
  const auto self = shared_from_this();
  while (!closed_) {
    tcp::socket socket(loop_.io);
    boost::system::error_code error;
    co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (closed_) break;
    if (error) {
      asio::steady_timer pause(loop_.io, kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    take(std::move(socket));
  }
}

void Session::Core::take(tcp::socket socket) {
  auto connection = std::make_shared<Connection>(std::move(socket), context_);
  const bool full = connections_.size() >= budget_.connections_max || loop_.connections_left == 0;
  if (full && turned_away_.size() >= kTurnedAwayMax) {
    ledger_.malformed("too many connections at once");
    return connection->close();
  }
  asio::co_spawn(loop_.io, full ? turn_away(connection) : serve(connection), asio::detached);
}

asio::awaitable<void> Session::Core::serve(std::shared_ptr<Connection> connection) {
  const auto self = shared_from_this();
  --loop_.connections_left;
  const auto place = connections_.insert(connections_.end(), connection);
  try {
    co_await connection->run();
  } catch (const std::exception&) { connection->close(); }  // no memory: others may have some
  connections_.erase(place);
  ++loop_.connections_left;
}

asio::awaitable<void> Session::Core::turn_away(std::shared_ptr<Connection> connection) {
  const auto self = shared_from_this();
  const auto place = turned_away_.insert(turned_away_.end(), connection);
  try {
    co_await connection->turn_away();
  } catch (const std::exception&) { connection->close(); }
  turned_away_.erase(place);
}

void Session::Core::sweep() {
  const auto now = clock_.steady_now();
  for (const auto& connection : connections_) connection->check_deadline(now);
  for (const auto& connection : turned_away_) connection->check_deadline(now);
  ticker_.expires_after(kSweepEvery);
  ticker_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (!error && self != nullptr && !self->closed_) self->sweep();
  });
}

// Coroutines end a little later, by the errors of what they wait for; sockets are closed now.
SessionEnd Session::Core::close_here() {
  if (std::exchange(closed_, true)) return {};
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  ticker_.cancel();
  for (const auto& connection : connections_) connection->close();
  for (const auto& connection : turned_away_) connection->close();
  return {.connections_closed =
              static_cast<std::uint32_t>(connections_.size() + turned_away_.size())};
}

SessionEnd Session::Core::close() {
  std::promise<SessionEnd> promise;
  std::future<SessionEnd> closed = promise.get_future();
  asio::post(loop_.io, [&] { promise.set_value(close_here()); });
  return closed.get();
}

Session& Session::operator=(Session&& other) noexcept {
  if (this != &other) {
    (void)close();
    core_ = std::move(other.core_);
  }
  return *this;
}

Session::~Session() { (void)close(); }

SessionEnd Session::close() { return core_ != nullptr ? core_->close() : SessionEnd{}; }

std::vector<model::EgressEntry> Session::record() const {
  return core_ != nullptr ? core_->ledger().entries() : std::vector<model::EgressEntry>();
}

std::vector<model::Denial> Session::denials() const {
  return core_ != nullptr ? core_->ledger().denials() : std::vector<model::Denial>();
}

Gateway::Gateway(GatewayOptions options, const base::Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      loop_(std::make_unique<Loop>(options_.connections_max)) {}

Gateway::~Gateway() = default;

GatewayTotals Gateway::totals() const {
  const Totals& totals = loop_->totals;
  return {.connected = totals.connected,
          .failed = totals.failed,
          .refused = totals.refused,
          .bytes_out = totals.bytes_out,
          .bytes_in = totals.bytes_in};
}

base::Result<Session> Gateway::serve(base::UniqueFd listener, Policy policy, Budget budget) {
  AIRLOCK_TRY(loop_->start(options_.dns_servers));
  auto core = std::make_shared<Session::Core>(*loop_, clock_, std::move(policy), budget);
  AIRLOCK_TRY(core->open(std::move(listener)));
  return Session(std::move(core));
}

}  // namespace airlock::egress
