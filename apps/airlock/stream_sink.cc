#include "apps/airlock/stream_sink.h"

#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace airlock::apps {
namespace {

bool can_write_now(int fd) {
  pollfd polled{.fd = fd, .events = POLLOUT, .revents = 0};
  return ::poll(&polled, 1, 0) > 0;  // POLLERR counts: write tells what is wrong
}

void wait_until_writable(int fd) {
  pollfd polled{.fd = fd, .events = POLLOUT, .revents = 0};
  (void)::poll(&polled, 1, -1);
}

}  // namespace

StreamSink::Target::Target(int descriptor, TerminalUse use) : fd(descriptor), kind(Kind::kFile) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return;  // closed: the first write says so
  if (S_ISFIFO(info.st_mode)) kind = Kind::kPipe;
  if (S_ISSOCK(info.st_mode)) kind = Kind::kSocket;
  if (S_ISCHR(info.st_mode) && ::isatty(fd) == 1) {
    kind = Kind::kTerminal;
    filter.emplace(use);
  }
}

// Takes what can be taken without blocking.
base::Result<std::size_t> StreamSink::Target::write_ready(std::string_view bytes) {
  ssize_t count = 0;
  if (kind == Kind::kSocket) {
    count = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  } else if (kind == Kind::kFile) {
    count = ::write(fd, bytes.data(), bytes.size());
  } else {
    if (!can_write_now(fd)) return 0;
    // A pipe that is writable takes PIPE_BUF bytes without blocking (pipe(7)).
    count = ::write(fd, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
  }
  if (count >= 0) return static_cast<std::size_t>(count);
  if (errno == EAGAIN || errno == EINTR) return 0;
  return base::fail_errno("write to the output");
}

StreamSink::StreamSink(int stdout_fd, int stderr_fd, TerminalUse use)
    : stdout_(stdout_fd, use), stderr_(stderr_fd, use) {}

int StreamSink::writable_fd(runner::Stream stream) const {
  const Target& target = stream == runner::Stream::kStdout ? stdout_ : stderr_;
  return target.kind == Kind::kFile ? -1 : target.fd;
}

base::Result<std::size_t> StreamSink::write_some(runner::Stream stream, std::string_view bytes) {
  Target& target = target_of(stream);
  AIRLOCK_ASSIGN(const std::size_t taken, write_to(target, bytes));
  const std::size_t kept = std::min(taken, kHeadBytesMax - target.head.size());
  target.head += bytes.substr(0, kept);
  return taken;
}

base::Result<std::size_t> StreamSink::write_to(Target& target, std::string_view bytes) {
  if (!target.filter) return target.write_ready(bytes);
  if (target.filtered.empty()) {
    bytes = bytes.substr(0, PIPE_BUF);
    target.filter->filter(bytes, target.filtered);
  } else {
    bytes = {};  // the last piece has to go first
  }
  while (!target.filtered.empty()) {
    AIRLOCK_ASSIGN(const std::size_t count, target.write_ready(target.filtered));
    if (count == 0) break;
    target.filtered.erase(0, count);
  }
  return bytes.size();
}

void StreamSink::finish() {
  for (Target* target : {&stdout_, &stderr_}) {
    if (!target->filter) continue;
    target->filtered += target->filter->restoring_sequence();
    target->filter.emplace(TerminalUse::kPlain);
    while (!target->filtered.empty()) {
      wait_until_writable(target->fd);
      const auto count = target->write_ready(target->filtered);
      if (!count) break;
      target->filtered.erase(0, *count);
    }
    target->filtered.clear();
  }
}

}  // namespace airlock::apps
