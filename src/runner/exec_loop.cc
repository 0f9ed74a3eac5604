#include "runner/exec_loop.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/poll_timeout.h"
#include "runner/pumps.h"

namespace airlock::runner {
namespace {

using backend::Process;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A keeper ends what is over its time. One that has not told of an end so long after that hangs,
// and whoever waits for the run would wait for ever.
constexpr milliseconds kReportLateMax{60'000};

struct Pipe {
  base::UniqueFd read_end;
  base::UniqueFd write_end;
};

enum class OurEnd { kRead, kWrite };

// Our end is non-blocking, the guest's is not: programs do not expect EAGAIN on their stdio.
base::Result<Pipe> make_pipe(OurEnd ours) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return base::fail_errno("pipe2");
  Pipe pipe{base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
  if (::fcntl(ends[ours == OurEnd::kRead ? 0 : 1], F_SETFL, O_NONBLOCK) != 0) {
    return base::fail_errno("set a pipe non-blocking");
  }
  return pipe;
}

// Reading from /dev/null needs no pump; the device number is the kernel's
// (Documentation/admin-guide/ devices.txt).
bool reads_nothing(int fd) {
  struct stat info{};
  return fd < 0 ||
         (::fstat(fd, &info) == 0 && S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3));
}

// Indexes of the poll set.
enum Slot : std::size_t { kProcess, kControl, kOut, kErr, kIn, kSlots };

class ExecLoop {
 public:
  ExecLoop(const ExecIo& io, base::ByteCount cap, bool terminal)
      : io_(io),
        terminal_(terminal),
        out_(Stream::kStdout, *io.sink, cap),
        err_(Stream::kStderr, *io.sink, cap) {}

  base::Status start(backend::Sandbox& sandbox, backend::ProcessSpec spec);
  base::Result<ExecReport> run();

 private:
  base::Result<backend::Stdio> make_stdio();
  base::Status poll_once();
  base::Status take_process_news();
  base::Status take_terminal();
  void take_control_events();
  void advance_streams();
  void climb_cancel_ladder(ControlEvent event);
  void escalate_if_due();
  base::Status check_keeper() const;
  void enforce_cap();
  void drop_output();
  // A request that cannot be sent means that the keeper is gone, and try_report tells that.
  static void send(const base::Status&) {}
  void forward_window_size();
  int poll_timeout_ms() const;
  bool finished() const { return report_.has_value() && out_.done() && err_.done(); }

  const ExecIo& io_;
  bool terminal_;
  OutputPump out_;
  OutputPump err_;
  InputPump in_;
  base::UniqueFd terminal_master_;  // for the window size; the pumps have duplicates
  std::unique_ptr<Process> process_;
  std::array<pollfd, kSlots> polled_{};
  std::optional<backend::ProcessReport> report_;
  int cancel_steps_ = 0;
  bool reader_gone_ = false;
  bool cap_enforced_ = false;
  std::optional<steady_clock::time_point> terminate_at_;
  steady_clock::time_point report_due_;
};

base::Status ExecLoop::start(backend::Sandbox& sandbox, backend::ProcessSpec spec) {
  backend::Stdio stdio;
  if (!terminal_) { AIRLOCK_ASSIGN(stdio, make_stdio()); }
  report_due_ = io_.clock->steady_now() + spec.limits.wall_time + kReportLateMax;
  AIRLOCK_ASSIGN(process_, sandbox.exec(std::move(spec), std::move(stdio)));
  base::crash_point("exec_sent");
  return {};
}

base::Result<backend::Stdio> ExecLoop::make_stdio() {
  backend::Stdio guest;
  if (reads_nothing(io_.stdin_fd)) {
    guest.in = base::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!guest.in.valid()) return base::fail_errno("open /dev/null");
  } else {
    AIRLOCK_ASSIGN(Pipe in, make_pipe(OurEnd::kWrite));
    guest.in = std::move(in.read_end);
    in_.start(io_.stdin_fd, std::move(in.write_end));
  }
  AIRLOCK_ASSIGN(Pipe out, make_pipe(OurEnd::kRead));
  AIRLOCK_ASSIGN(Pipe err, make_pipe(OurEnd::kRead));
  guest.out = std::move(out.write_end);
  guest.err = std::move(err.write_end);
  out_.start(std::move(out.read_end));
  err_.start(std::move(err.read_end));
  return guest;
}

base::Result<ExecReport> ExecLoop::run() {
  while (!finished()) {
    AIRLOCK_TRY(poll_once());
    take_control_events();
    AIRLOCK_TRY(take_process_news());
    advance_streams();
    escalate_if_due();
    AIRLOCK_TRY(check_keeper());
  }
  ExecReport result;
  result.stdout_truncated = out_.truncated();
  result.stderr_truncated = err_.truncated();
  result.reader_gone = reader_gone_;
  result.process = std::move(*report_);
  model::ProcessFacts& facts = result.process.facts;
  facts.cancelled |= cancel_steps_ > 0;
  facts.output_truncated = out_.truncated() || err_.truncated();
  // The last bytes may be read after the program ended: the verdict must not depend on that race.
  if (facts.output_truncated && facts.kill_reason == model::KillReason::kNone) {
    facts.kill_reason = model::KillReason::kOutputLimit;
  }
  return result;
}

base::Status ExecLoop::poll_once() {
  const auto add = [this](Slot slot, PollInterest interest) {
    polled_[slot] = pollfd{.fd = interest.fd, .events = interest.events, .revents = 0};
  };
  add(kProcess, {.fd = report_ ? -1 : process_->event_fd(), .events = POLLIN});
  add(kControl, {.fd = io_.control == nullptr ? -1 : io_.control->fd(), .events = POLLIN});
  add(kOut, out_.interest());
  add(kErr, err_.interest());
  add(kIn, report_ ? PollInterest{} : in_.interest());
  const int count = ::poll(polled_.data(), polled_.size(), poll_timeout_ms());
  if (count < 0 && errno != EINTR) return base::fail_errno("poll");
  return {};
}

int ExecLoop::poll_timeout_ms() const {
  // Once nobody writes any more, reading tells everything: there is nothing to wait for but the
  // sink.
  const auto is_readable_now = [](const PollInterest& interest) {
    return interest.events == POLLIN;
  };
  if (report_ && (is_readable_now(out_.interest()) || is_readable_now(err_.interest()))) return 0;
  if (!terminate_at_ && report_) return -1;
  const auto due =
      report_ ? *terminate_at_ : std::min(terminate_at_.value_or(report_due_), report_due_);
  return base::poll_timeout_ms(io_.clock->steady_now(), due);
}

base::Status ExecLoop::take_process_news() {
  if (report_ || polled_[kProcess].revents == 0) return {};
  if (terminal_ && !terminal_master_.valid()) AIRLOCK_TRY(take_terminal());
  AIRLOCK_ASSIGN(report_, process_->try_report());
  if (report_) {
    base::crash_point("report_read");
    out_.writers_are_gone();
    err_.writers_are_gone();
  }
  return {};
}

base::Status ExecLoop::take_terminal() {
  AIRLOCK_ASSIGN(auto master, process_->try_terminal());
  if (!master) return {};
  terminal_master_ = std::move(*master);
  const auto duplicate = [this]() -> base::Result<base::UniqueFd> {
    base::UniqueFd copy(::fcntl(terminal_master_.get(), F_DUPFD_CLOEXEC, 3));
    if (!copy.valid()) return base::fail_errno("duplicate the terminal");
    return copy;
  };
  if (::fcntl(terminal_master_.get(), F_SETFL, O_RDWR | O_NONBLOCK) != 0) {
    return base::fail_errno("set the terminal non-blocking");
  }
  AIRLOCK_ASSIGN(base::UniqueFd reading, duplicate());
  out_.start(std::move(reading));
  if (io_.stdin_fd >= 0) {
    AIRLOCK_ASSIGN(base::UniqueFd writing, duplicate());
    in_.start(io_.stdin_fd, std::move(writing));
  }
  if (io_.control != nullptr) io_.control->terminal_opened();
  forward_window_size();
  return {};
}

void ExecLoop::advance_streams() {
  in_.advance(polled_[kIn].revents);
  for (auto& [pump, slot] : {std::pair<OutputPump&, Slot>(out_, kOut), {err_, kErr}}) {
    if (polled_[slot].revents == 0 && !report_) continue;
    if (base::Status status = pump.advance(); !status) {
      // Nobody reads what the program writes: the same as if the user had cancelled it.
      reader_gone_ = true;
      drop_output();
      climb_cancel_ladder(ControlEvent::kTerminate);
    }
  }
  enforce_cap();
}

void ExecLoop::enforce_cap() {
  if (cap_enforced_ || report_ || !(out_.truncated() || err_.truncated())) return;
  cap_enforced_ = true;
  send(process_->kill(model::KillReason::kOutputLimit));
}

void ExecLoop::drop_output() {
  out_.discard();
  err_.discard();
}

void ExecLoop::take_control_events() {
  if (polled_[kControl].revents == 0) return;
  for (ControlEvent event = io_.control->take(); event != ControlEvent::kNone;
       event = io_.control->take()) {
    if (event == ControlEvent::kWindowSize) {
      forward_window_size();
    } else {
      climb_cancel_ladder(event);
    }
  }
}

void ExecLoop::climb_cancel_ladder(ControlEvent event) {
  ++cancel_steps_;
  if (report_ || cancel_steps_ > 1) {
    // The user has no patience left, neither for the program nor for a reader that does not read.
    drop_output();
    terminate_at_.reset();
    report_due_ = std::min(report_due_, io_.clock->steady_now() + kReportLateMax);
    if (!report_) send(process_->kill(model::KillReason::kCancelled));
  } else if (event == ControlEvent::kInterrupt) {
    terminate_at_ = io_.clock->steady_now() + kInterruptGrace;
    send(process_->signal(SIGINT));
  } else {
    send(process_->terminate(model::KillReason::kCancelled, model::kTermGrace));
  }
}

void ExecLoop::escalate_if_due() {
  if (!terminate_at_ || io_.clock->steady_now() < *terminate_at_) return;
  terminate_at_.reset();
  if (!report_) send(process_->terminate(model::KillReason::kCancelled, model::kTermGrace));
}

base::Status ExecLoop::check_keeper() const {
  if (report_ || io_.clock->steady_now() < report_due_) return {};
  return base::fail(base::ErrorCode::kUnavailable, "the sandbox's keeper does not answer",
                    "run again; if that happens often, the host has too little of something");
}

void ExecLoop::forward_window_size() {
  if (!terminal_master_.valid() || io_.control == nullptr) return;
  const std::optional<WindowSize> size = io_.control->window_size();
  if (!size) return;
  const winsize kernel_size{
      .ws_row = size->rows, .ws_col = size->columns, .ws_xpixel = 0, .ws_ypixel = 0};
  // A terminal of the wrong size is no reason to end a run.
  (void)::ioctl(terminal_master_.get(), TIOCSWINSZ, &kernel_size);
}

}  // namespace

base::Result<ExecReport> exec_to_end(backend::Sandbox& sandbox, backend::ProcessSpec spec,
                                     const ExecIo& io) {
  AIRLOCK_CHECK(io.sink != nullptr && io.clock != nullptr);
  ExecLoop loop(io, spec.limits.output, spec.terminal);
  AIRLOCK_TRY(loop.start(sandbox, std::move(spec)));
  return loop.run();
}

}  // namespace airlock::runner
