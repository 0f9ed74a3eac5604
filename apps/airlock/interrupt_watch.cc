#include "apps/airlock/interrupt_watch.h"

#include <poll.h>
#include <sys/signalfd.h>

#include <csignal>

namespace airlock::apps {

base::Result<InterruptWatch> InterruptWatch::open() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&signals, signal);
  if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return base::fail_errno("block signals");
  base::UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return base::fail_errno("watch for signals");
  return InterruptWatch(std::move(fd));
}

// The signal is left where it is, so that whoever asks later sees it, too.
bool InterruptWatch::interrupted() const {
  pollfd event{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&event, 1, 0) > 0;
}

}  // namespace airlock::apps
