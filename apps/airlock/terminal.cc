#include "apps/airlock/terminal.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <utility>

namespace airlock::apps {
namespace {

// For the handler of a crash, which can reach nothing else. Written before the handler is
// installed.
int crash_terminal_fd = -1;
termios crash_terminal_state;

inline constexpr int kCrashSignals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGQUIT};

void restore_and_die(int signal) {
  // tcsetattr and raise are async-signal-safe (signal-safety(7)); SA_RESETHAND has put the default
  // action back, so that the raised signal ends the process.
  (void)::tcsetattr(crash_terminal_fd, TCSANOW, &crash_terminal_state);
  (void)::raise(signal);
}

void install_crash_handlers(int fd, const termios& state) {
  crash_terminal_fd = fd;
  crash_terminal_state = state;
  struct sigaction action{};
  action.sa_handler = restore_and_die;
  action.sa_flags = SA_RESETHAND | SA_NODEFER;
  for (const int signal : kCrashSignals) (void)::sigaction(signal, &action, nullptr);
}

}  // namespace

base::Result<HostTerminal> HostTerminal::make_raw(int fd) {
  termios before{};
  if (::tcgetattr(fd, &before) != 0) return base::fail_errno("read the terminal's settings");
  install_crash_handlers(fd, before);
  termios raw = before;
  ::cfmakeraw(&raw);
  if (::tcsetattr(fd, TCSADRAIN, &raw) != 0) return base::fail_errno("set the terminal raw");
  return HostTerminal(fd, before);
}

HostTerminal::HostTerminal(HostTerminal&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), before_(other.before_) {}

HostTerminal::~HostTerminal() {
  if (fd_ < 0) return;
  // What the program made the terminal answer must not become the next command of the shell.
  (void)::tcsetattr(fd_, TCSAFLUSH, &before_);
  for (const int signal : kCrashSignals) (void)::signal(signal, SIG_DFL);
}

base::Result<SignalControl> SignalControl::open(int terminal_fd) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) ::sigaddset(&signals, signal);
  base::UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return base::fail_errno("signalfd");
  if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return base::fail_errno("sigprocmask");
  return SignalControl(std::move(fd), terminal_fd);
}

runner::ControlEvent SignalControl::take() {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) {
    return runner::ControlEvent::kNone;
  }
  switch (info.ssi_signo) {
    case SIGINT: return runner::ControlEvent::kInterrupt;
    case SIGWINCH: return runner::ControlEvent::kWindowSize;
    default: return runner::ControlEvent::kTerminate;
  }
}

void SignalControl::terminal_opened() {
  // A terminal that cannot be made raw still works, line by line.
  if (auto raw = HostTerminal::make_raw(terminal_fd_)) raw_terminal_.emplace(std::move(*raw));
}

std::optional<runner::WindowSize> SignalControl::window_size() const {
  winsize size{};
  if (terminal_fd_ < 0 || ::ioctl(terminal_fd_, TIOCGWINSZ, &size) != 0) return std::nullopt;
  return runner::WindowSize{.rows = size.ws_row, .columns = size.ws_col};
}

}  // namespace airlock::apps
