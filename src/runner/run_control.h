// RunControl: what can happen to a run from outside while it runs.
//
// An fd that the loop polls and a queue of events behind it: a signalfd in the command line tool,
// an eventfd in a service. Cancelling is a ladder that each event climbs one step:
//   kInterrupt  SIGINT to the program; after kInterruptGrace as kTerminate
//   kTerminate  SIGTERM to the whole tree, SIGKILL after model::kTermGrace
//   any of the two a second time: SIGKILL at once
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace airlock::runner {

enum class ControlEvent { kNone, kInterrupt, kTerminate, kWindowSize };

// How long a program has after SIGINT before its whole tree is asked to end.
inline constexpr std::chrono::milliseconds kInterruptGrace{500};

struct WindowSize {
  std::uint16_t rows = 24;
  std::uint16_t columns = 80;
};

class RunControl {
 public:
  virtual ~RunControl() = default;
  // Readable when `take` has something. Borrowed; valid as long as this.
  virtual int fd() const = 0;
  // The next event; kNone when there is no more.
  virtual ControlEvent take() = 0;
  // Called once, when the program's pty is there and before its first byte is passed on: from now
  // on every key is the program's.
  virtual void terminal_opened() = 0;
  // The size of the user's terminal, where there is one.
  virtual std::optional<WindowSize> window_size() const = 0;
};

}  // namespace airlock::runner
