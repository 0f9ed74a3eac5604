#include "runner/pumps.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace airlock::runner {
namespace {

bool is_try_later(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

std::unique_ptr<char[]> make_buffer() {
  // Not zeroed: pages that no byte ever reaches are never touched.
  return std::make_unique_for_overwrite<char[]>(kPumpBufferBytes);
}

}  // namespace

void OutputPump::start(base::UniqueFd from) {
  from_ = std::move(from);
  ended_ = !from_.valid();
}

PollInterest OutputPump::interest() const {
  if (!pending_.empty()) return {.fd = sink_.writable_fd(stream_), .events = POLLOUT};
  if (!ended_) return {.fd = from_.get(), .events = POLLIN};
  return {};
}

base::Status OutputPump::advance() {
  if (pending_.empty() && !ended_) read_some();
  return flush();
}

void OutputPump::read_some() {
  if (buffer_ == nullptr) buffer_ = make_buffer();
  const ssize_t count = ::read(from_.get(), buffer_.get(), kPumpBufferBytes);
  if (count < 0 && is_try_later(errno)) {
    if (!writers_gone_ || errno == EINTR) return;
  }
  if (count <= 0) {  // the end; a pty says EIO when its last user has closed it
    ended_ = true;
    from_.reset();
    return;
  }
  const auto room = cap_.count() - accepted_bytes_;
  const auto kept = std::min<std::uint64_t>(room, static_cast<std::uint64_t>(count));
  if (kept < static_cast<std::uint64_t>(count)) truncated_ = true;
  accepted_bytes_ += kept;
  if (!discarding_) pending_ = std::string_view(buffer_.get(), kept);
}

base::Status OutputPump::flush() {
  while (!pending_.empty()) {
    AIRLOCK_ASSIGN(const std::size_t taken, sink_.write_some(stream_, pending_));
    if (taken == 0) break;
    pending_.remove_prefix(taken);
    if (sink_.writable_fd(stream_) >= 0) break;  // ask poll before the next one
  }
  return {};
}

void OutputPump::discard() {
  discarding_ = true;
  pending_ = {};
}

void InputPump::start(int source, base::UniqueFd to) {
  source_ = source;
  to_ = std::move(to);
}

PollInterest InputPump::interest() const {
  if (done()) return {};
  if (!pending_.empty()) return {.fd = to_.get(), .events = POLLOUT};
  return {.fd = source_, .events = POLLIN};
}

void InputPump::advance(short events_seen) {
  if (done() || events_seen == 0) return;
  if (pending_.empty() && !source_ended_) {
    if (buffer_ == nullptr) buffer_ = make_buffer();
    const ssize_t count = ::read(source_, buffer_.get(), kPumpBufferBytes);
    if (count < 0 && is_try_later(errno)) return;
    if (count <= 0) source_ended_ = true;
    if (count > 0) pending_ = std::string_view(buffer_.get(), static_cast<std::size_t>(count));
  }
  if (!pending_.empty()) {
    const ssize_t count = ::write(to_.get(), pending_.data(), pending_.size());
    if (count >= 0) {
      pending_.remove_prefix(static_cast<std::size_t>(count));
    } else if (!is_try_later(errno)) {  // EPIPE: the guest reads no more
      to_.reset();
      return;
    }
  }
  if (source_ended_ && pending_.empty()) to_.reset();
}

}  // namespace airlock::runner
