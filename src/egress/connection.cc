#include "egress/connection.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "egress/flow_meter.h"

namespace airlock::egress {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::size_t kReadBytes = 16 * 1'024;
constexpr std::chrono::milliseconds kSayTimeout{5'000};
constexpr std::chrono::milliseconds kLingerTimeout{1'000};
constexpr std::size_t kLingerBytesMax = 256 * 1'024;
constexpr std::size_t kAttemptsMax = 4;  // addresses of one name

// Asio's sockets would stay open in programs that are started meanwhile.
void prepare(tcp::socket& socket) {
  boost::system::error_code ignored;
  ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  socket.non_blocking(true, ignored);
  socket.set_option(tcp::no_delay(true), ignored);
}

tcp::endpoint endpoint_of(const Address& address, std::uint16_t port) {
  if (!address.is_v6()) {
    asio::ip::address_v4::bytes_type bytes;
    std::copy_n(address.bytes().begin(), bytes.size(), bytes.begin());
    return {asio::ip::address_v4(bytes), port};
  }
  asio::ip::address_v6::bytes_type bytes;
  std::ranges::copy(address.bytes(), bytes.begin());
  return {asio::ip::address_v6(bytes), port};
}

}  // namespace

Connection::Connection(Socket client, const ConnectionContext& context)
    : client_(std::move(client)), server_(context.io), context_(context) {
  prepare(client_);
  wait_until(context_.budget.header_timeout);
}

void Connection::wait_until(std::chrono::milliseconds from_now) {
  deadline_ = context_.clock.steady_now() + from_now;
}

void Connection::close() {
  closed_ = true;
  boost::system::error_code ignored;
  client_.close(ignored);
  server_.close(ignored);
}

// Whoever waits finds out by the error of what it waits for.
void Connection::check_deadline(Time now) {
  if (closed_ || now < deadline_) return;
  boost::system::error_code ignored;
  if (connecting_) {
    timed_out_ = true;
    server_.close(ignored);
  } else if (timed_out_) {
    close();
  } else {
    timed_out_ = true;
    wait_until(kSayTimeout);
    client_.cancel(ignored);
    server_.cancel(ignored);
  }
}

// More of the client; false at its end.
asio::awaitable<bool> Connection::fill() {
  if (!co_await wait_readable(client_)) co_return false;
  std::array<char, kReadBytes> buffer;  // NOLINT: filled by recv
  const long count = ::recv(client_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count < 0) co_return errno == EAGAIN || errno == EINTR;
  if (count == 0) co_return false;
  from_client_.append(buffer.data(), static_cast<std::size_t>(count));
  co_return true;
}

asio::awaitable<bool> Connection::say(std::string text) {
  wait_until(kSayTimeout);
  SilentMeter meter;
  co_return co_await write_all(client_, text, meter);
}

// So that what was said last is read: a socket that is closed with unread bytes is reset.
asio::awaitable<void> Connection::linger() {
  boost::system::error_code ignored;
  client_.shutdown(tcp::socket::shutdown_send, ignored);
  timed_out_ = true;  // the next deadline is the last
  wait_until(kLingerTimeout);
  std::size_t taken = 0;
  while (taken < kLingerBytesMax) {
    from_client_.clear();
    if (!co_await fill()) break;
    taken += from_client_.size();
  }
}

asio::awaitable<void> Connection::turn_away() {
  const auto self = shared_from_this();
  const std::string reason =
      "more than " + std::to_string(context_.budget.connections_max) + " connections at once";
  context_.ledger.malformed(reason);
  const std::string text = "airlock: refused: " + reason + "\n";
  co_await say("HTTP/1.1 503 " + reason + "\r\nContent-Type: text/plain\r\nContent-Length: " +
               std::to_string(text.size()) + "\r\nConnection: close\r\n\r\n" + text);
  co_await linger();
  close();
}

asio::awaitable<void> Connection::run() {
  const auto self = shared_from_this();
  if (co_await fill()) {
    const char first = from_client_[0];
    if (first == kSocksVersion) {
      co_await serve_socks();
    } else if (first >= 'A' && first <= 'Z') {
      co_await serve_http();
    } else {
      context_.ledger.malformed("neither HTTP nor SOCKS5");
    }
  }
  close();
}

Connection::Refusal Connection::refuse(const Destination& to, const Verdict& verdict) {
  context_.ledger.refused(to, verdict.reason, verdict.fix);
  return {.status = 403,
          .reply = SocksReply::kNotAllowed,
          .reason = verdict.reason,
          .fix = verdict.fix};
}

Connection::Refusal Connection::fail(const Destination& to, int status, SocksReply reply,
                                     std::string reason) {
  context_.ledger.failed(to, reason);
  return {.status = status, .reply = reply, .reason = std::move(reason), .fix = {}};
}

// A connection to one of the addresses that `to` leads to, or why there is none.
asio::awaitable<std::optional<Connection::Refusal>> Connection::open_server(const Destination& to) {
  if (context_.ledger.spent_all()) {
    co_return refuse(to, {.allowed = false,
                          .protocol = Protocol::kTls,
                          .reason = budget_reason(context_.ledger.bytes_max()),
                          .fix = budget_fix()});
  }
  const Verdict verdict = context_.policy.judge(to);
  if (!verdict.allowed) co_return refuse(to, verdict);
  protocol_ = verdict.protocol;
  std::optional<Refusal> refusal;
  const std::vector<Address> found = co_await find_addresses(to, refusal);
  if (refusal) co_return refusal;
  co_return co_await connect_first(to, found);
}

// Those that may be connected to.
asio::awaitable<std::vector<Address>> Connection::find_addresses(const Destination& to,
                                                                 std::optional<Refusal>& refusal) {
  std::vector<Address> found;
  if (to.is_address) {
    if (const auto address = parse_address(to.host)) found.push_back(*address);
  } else {
    // Its own deadlines end it.
    wait_until(std::chrono::hours(1));
    Resolved resolved = co_await context_.resolver.resolve(to.host);
    wait_until(context_.budget.header_timeout);
    if (resolved.addresses.empty()) {
      refusal =
          fail(to, resolved.timed_out ? 504 : 502, SocksReply::kHostUnreachable, resolved.failure);
      co_return found;
    }
    found = std::move(resolved.addresses);
  }
  std::optional<Verdict> first_refusal;
  std::erase_if(found, [&](const Address& address) {
    Verdict verdict = context_.policy.judge_address(address, to.port);
    if (verdict.allowed) return false;
    if (!first_refusal) first_refusal = std::move(verdict);
    return true;
  });
  if (found.empty() && first_refusal) refusal = refuse(to, *first_refusal);
  co_return found;
}

asio::awaitable<std::optional<Connection::Refusal>> Connection::connect_first(
    const Destination& to, const std::vector<Address>& found) {
  int failure = ENETUNREACH;
  for (std::size_t i = 0; i < std::min(found.size(), kAttemptsMax) && !closed_; ++i) {
    failure = co_await connect_to(found[i], to.port);
    if (failure == 0) {
      destination_ = to;
      line_ = &context_.ledger.connected(to);
      wait_until(context_.budget.header_timeout);
      co_return std::nullopt;
    }
  }
  if (failure == ETIMEDOUT) {
    co_return fail(to, 504, SocksReply::kTimedOut, "the server does not answer");
  }
  const SocksReply reply =
      failure == ECONNREFUSED ? SocksReply::kRefused : SocksReply::kNetworkUnreachable;
  co_return fail(to, 502, reply, std::string("cannot connect: ") + std::strerror(failure));
}

// 0 or an errno.
asio::awaitable<int> Connection::connect_to(const Address& address, std::uint16_t port) {
  const tcp::endpoint endpoint = endpoint_of(address, port);
  boost::system::error_code error;
  server_ = Socket(context_.io);
  server_.open(endpoint.protocol(), error);
  if (error) co_return error.value();
  prepare(server_);
  connecting_ = true;
  wait_until(context_.budget.connect_timeout);
  co_await server_.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  connecting_ = false;
  if (std::exchange(timed_out_, false)) co_return ETIMEDOUT;
  if (closed_) co_return ECONNABORTED;
  co_return error ? error.value() : 0;
}

}  // namespace airlock::egress
