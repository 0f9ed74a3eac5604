#include "egress/relay.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <string>
#include <utility>

namespace airlock::egress {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::size_t kPieceBytes = 64 * 1'024;
constexpr std::size_t kPipeBytes = 1'024 * 1'024;
constexpr std::size_t kPipesMax = 32;
constexpr std::size_t kBulkFrom = 256 * 1'024;  // so much in one direction is worth a pipe
constexpr int kTurnsMax = 16;                   // then it is the others' turn

asio::awaitable<bool> wait_for(tcp::socket& socket, tcp::socket::wait_type what) {
  boost::system::error_code error;
  co_await socket.async_wait(what, asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

asio::awaitable<void> give_way() {
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK; }

enum class Step { kMoved, kBlocked, kEnded, kFailed };

// One direction of one connection.
class OneWay {
 public:
  OneWay(tcp::socket& from, tcp::socket& to, Meter& meter, PipePool& pipes)
      : from_(from), to_(to), meter_(meter), pipes_(pipes) {}
  ~OneWay() {
    if (pipe_ && piped_ == 0)
      pipes_.give_back(std::move(*pipe_));
    else if (pipe_)
      pipes_.lost();
  }
  OneWay(const OneWay&) = delete;
  OneWay& operator=(const OneWay&) = delete;

  asio::awaitable<bool> run();

 private:
  Step read_piece();
  asio::awaitable<bool> write_piece();
  asio::awaitable<bool> drain_pipe();
  asio::awaitable<bool> rest();

  tcp::socket& from_;
  tcp::socket& to_;
  Meter& meter_;
  PipePool& pipes_;
  std::optional<Pipe> pipe_;
  std::size_t piped_ = 0;  // bytes in the pipe
  std::string piece_;      // what was read without one, if it is not written yet
  std::size_t moved_ = 0;
};

Step OneWay::read_piece() {
  long count = 0;
  if (moved_ >= kBulkFrom && !pipe_) pipe_ = pipes_.take();
  if (pipe_) {
    count = ::splice(from_.native_handle(), nullptr, pipe_->writer.get(), nullptr, kPipeBytes,
                     SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  } else {
    std::array<char, kPieceBytes> buffer;  // NOLINT: filled by recv
    count = ::recv(from_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0) piece_.assign(buffer.data(), static_cast<std::size_t>(count));
  }
  if (count == 0) return Step::kEnded;
  if (count < 0) return would_block() || errno == EINTR ? Step::kBlocked : Step::kFailed;
  const auto bytes = static_cast<std::size_t>(count);
  if (pipe_) piped_ += bytes;
  moved_ += bytes;
  return meter_.pass(bytes) ? Step::kMoved : Step::kFailed;
}

asio::awaitable<bool> OneWay::write_piece() {
  const bool written = co_await write_all(to_, piece_, meter_);
  piece_.clear();
  co_return written;
}

asio::awaitable<bool> OneWay::drain_pipe() {
  while (piped_ > 0) {
    const long count = ::splice(pipe_->reader.get(), nullptr, to_.native_handle(), nullptr, piped_,
                                SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (count > 0) {
      piped_ -= static_cast<std::size_t>(count);
      meter_.touch();
    } else if (count == 0 || !would_block()) {
      co_return false;
    } else if (!co_await wait_writable(to_)) {
      co_return false;
    }
  }
  co_return true;
}

// Nothing is there to be read: holds as little as possible until there is.
asio::awaitable<bool> OneWay::rest() {
  if (pipe_) {
    pipes_.give_back(std::move(*pipe_));
    pipe_.reset();
  }
  piece_.shrink_to_fit();
  co_return co_await wait_readable(from_);
}

asio::awaitable<bool> OneWay::run() {
  for (int turns = 0;; ++turns) {
    switch (read_piece()) {
      case Step::kMoved: break;
      case Step::kFailed: co_return false;
      case Step::kBlocked:
        if (!co_await rest()) co_return false;
        turns = 0;
        continue;
      case Step::kEnded: {
        boost::system::error_code ignored;
        to_.shutdown(tcp::socket::shutdown_send, ignored);
        co_return true;
      }
    }
    meter_.touch();
    if (!piece_.empty() && !co_await write_piece()) co_return false;
    if (pipe_ && !co_await drain_pipe()) co_return false;
    if (turns >= kTurnsMax) {
      co_await give_way();
      turns = 0;
    }
  }
}

}  // namespace

std::optional<Pipe> PipePool::take() {
  if (!free_.empty()) {
    Pipe pipe = std::move(free_.back());
    free_.pop_back();
    return pipe;
  }
  std::array<int, 2> ends{};
  if (made_ >= kPipesMax || ::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return std::nullopt;
  ++made_;
  ::fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);  // less is slower, no more
  return Pipe{base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}

void PipePool::give_back(Pipe pipe) { free_.push_back(std::move(pipe)); }

asio::awaitable<bool> wait_readable(tcp::socket& socket) {
  return wait_for(socket, tcp::socket::wait_read);
}

asio::awaitable<bool> wait_writable(tcp::socket& socket) {
  return wait_for(socket, tcp::socket::wait_write);
}

asio::awaitable<long> read_some(tcp::socket& socket, char* buffer, std::size_t size) {
  while (true) {
    const long count = ::recv(socket.native_handle(), buffer, size, MSG_DONTWAIT);
    if (count >= 0) co_return count;
    if (errno == EINTR) continue;
    if (!would_block() || !co_await wait_readable(socket)) co_return -1;
  }
}

asio::awaitable<bool> write_all(tcp::socket& socket, std::string_view bytes, Meter& meter) {
  while (!bytes.empty()) {
    const long count =
        ::send(socket.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
      meter.touch();
    } else if (errno != EINTR && (!would_block() || !co_await wait_writable(socket))) {
      co_return false;
    }
  }
  co_return true;
}

asio::awaitable<bool> relay(tcp::socket& from, tcp::socket& to, Meter& meter, PipePool& pipes) {
  OneWay way(from, to, meter, pipes);
  co_return co_await way.run();
}

}  // namespace airlock::egress
