// HostTerminal and SignalControl: the user's side of a run.
//
// HostTerminal puts the user's terminal into raw mode, so that every key (Ctrl-C, too) goes to the
// program's own pty, and puts it back when it is destroyed or when we crash. SignalControl turns
// SIGINT, SIGTERM, SIGHUP and SIGWINCH into events of a RunControl; from then on none of them ends
// the process by itself; it makes the terminal raw once the program has a pty, so that a compiler
// before it can be stopped with Ctrl-C and its messages look as usual. One of each per process.
#pragma once

#include <termios.h>

#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"
#include "runner/run_control.h"

namespace airlock::apps {

class HostTerminal {
 public:
  // `fd` is a terminal and stays borrowed.
  static base::Result<HostTerminal> make_raw(int fd);
  HostTerminal(HostTerminal&& other) noexcept;
  HostTerminal& operator=(HostTerminal&&) = delete;
  HostTerminal(const HostTerminal&) = delete;
  ~HostTerminal();

 private:
  HostTerminal(int fd, const termios& before) : fd_(fd), before_(before) {}

  int fd_;
  termios before_;
};

class SignalControl final : public runner::RunControl {
 public:
  // `terminal_fd` (borrowed) is the user's terminal; -1: the program gets none.
  static base::Result<SignalControl> open(int terminal_fd);

  int fd() const override { return fd_.get(); }
  runner::ControlEvent take() override;
  void terminal_opened() override;
  std::optional<runner::WindowSize> window_size() const override;

 private:
  SignalControl(base::UniqueFd fd, int terminal_fd)
      : fd_(std::move(fd)), terminal_fd_(terminal_fd) {}

  base::UniqueFd fd_;
  int terminal_fd_;
  std::optional<HostTerminal> raw_terminal_;
};

}  // namespace airlock::apps
