#include "http/event_sink.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace airlock::http {
namespace {

// The largest count that an eventfd holds (eventfd(2)): with it in, poll does not say POLLOUT.
constexpr std::uint64_t kEventfdFull = ~0ull - 1;

}  // namespace

// Why safe: a new descriptor with one owner.
EventSink::EventSink(std::function<void()> news)
    : news_(std::move(news)), writable_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void EventSink::make_writable(bool writable) {
  std::uint64_t count = kEventfdFull;
  // Why safe: eight bytes, as eventfd(2) wants them, from and to a local. Both fail with EAGAIN
  // only where it is so already.
  // An eventfd that never blocks. NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection)
  const ssize_t done = writable ? ::read(writable_.get(), &count, sizeof count)
                                : ::write(writable_.get(), &count, sizeof count);
  (void)done;
}

base::Result<std::size_t> EventSink::write_some(runner::Stream stream, std::string_view bytes) {
  bool first = false;
  std::size_t taken = 0;
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) return base::fail(base::ErrorCode::kIo, "the client has gone away");
    taken = std::min(bytes.size(), kEventBytesMax - bytes_);
    if (taken > 0) {
      first = pieces_.empty();
      if (pieces_.empty() || pieces_.back().stream != stream) pieces_.push_back({stream, {}});
      pieces_.back().bytes.append(bytes.substr(0, taken));
      bytes_ += taken;
    }
    if (bytes_ == kEventBytesMax) make_writable(false);
  }
  if (first) news_();
  return taken;
}

int EventSink::writable_fd(runner::Stream) const { return writable_.get(); }

std::vector<OutputPiece> EventSink::take() {
  const std::scoped_lock lock(mutex_);
  bytes_ = 0;
  make_writable(true);
  return std::exchange(pieces_, {});
}

void EventSink::close() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  make_writable(true);
}

}  // namespace airlock::http
