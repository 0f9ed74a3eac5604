#include "http/server/tcp_transport.h"

#include <sys/socket.h>

#include <cerrno>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace airlock::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// What a client that is refused may still be sending: most of the largest body.
constexpr std::size_t kDrainBytesMax = std::size_t{32} << 20;
constexpr std::size_t kEarlyBytesMax = 64 * 1024;

class TcpTransport final : public Transport, public std::enable_shared_from_this<TcpTransport> {
 public:
  explicit TcpTransport(tcp::socket socket) : socket_(std::move(socket)) {
    boost::system::error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
  }

  asio::awaitable<std::size_t> read_some(std::span<char> buffer) override {
    if (!early_.empty()) {
      const std::size_t count = early_.copy(buffer.data(), buffer.size());
      early_.erase(0, count);
      co_return count;
    }
    for (;;) {
      // Why safe: at most buffer.size() bytes are written to it, and it never blocks.
      const ssize_t count =
          ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count > 0) co_return static_cast<std::size_t>(count);
      if (count == 0 || (errno != EAGAIN && errno != EINTR)) co_return 0;
      boost::system::error_code error;
      co_await socket_.async_wait(tcp::socket::wait_read,
                                  asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return 0;
    }
  }

  asio::awaitable<bool> write_all(std::string_view first, std::string_view second) override {
    const std::array<asio::const_buffer, 2> buffers = {asio::buffer(first), asio::buffer(second)};
    boost::system::error_code error;
    co_await asio::async_write(socket_, buffers, asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }

  void watch_hangup(std::function<void()> gone) override {
    const bool watched = gone_ != nullptr;
    gone_ = std::move(gone);
    if (gone_ == nullptr) {
      if (watched) socket_.cancel();
    } else if (!watched) {
      wait_for_hangup();
    }
  }

  void end_reading() override {
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_receive, ignored);
  }

  asio::awaitable<void> close_gently() override {
    boost::system::error_code error;
    socket_.shutdown(tcp::socket::shutdown_send, error);
    std::array<char, 16 * 1024> rest;
    for (std::size_t taken = 0; taken < kDrainBytesMax && !error;) {
      taken += co_await socket_.async_read_some(asio::buffer(rest),
                                                asio::redirect_error(asio::use_awaitable, error));
    }
    close();
  }

  void close() override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  void wait_for_hangup() {
    socket_.async_wait(tcp::socket::wait_read,
                       [self = shared_from_this()](boost::system::error_code error) {
                         if (error || self->gone_ == nullptr) return;
                         if (self->take_early()) return self->wait_for_hangup();
                         std::exchange(self->gone_, nullptr)();
                       });
  }

  // What came before it was asked for; false at the end, or when it is too much.
  bool take_early() {
    std::array<char, 4096> piece;
    // Why safe: at most piece.size() bytes are written to it, and it never blocks.
    const ssize_t count = ::recv(socket_.native_handle(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    early_.append(piece.data(), static_cast<std::size_t>(count));
    return count > 0 && early_.size() <= kEarlyBytesMax;
  }

  tcp::socket socket_;
  std::function<void()> gone_;
  std::string early_;
};

}  // namespace

std::shared_ptr<Transport> make_tcp_transport(tcp::socket socket) {
  return std::make_shared<TcpTransport>(std::move(socket));
}

}  // namespace airlock::http
