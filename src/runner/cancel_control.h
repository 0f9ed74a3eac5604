// CancelControl: the RunControl of a run that other threads may end, in a service.
//
// An eventfd that counts the steps of the ladder in run_control.h that are still to be climbed.
// Safe to use from any thread; steps that come before the run begins, or after it ended, are kept
// and do no harm.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/unique_fd.h"
#include "runner/run_control.h"

namespace airlock::runner {

class CancelControl final : public RunControl {
 public:
  // Without descriptors left there is no fd; the run then cannot be cancelled: see valid().
  CancelControl() : steps_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) {}

  bool valid() const { return steps_.valid(); }
  // SIGTERM to the tree, SIGKILL after model::kTermGrace; once more: SIGKILL at once.
  void cancel() { climb(1); }
  void kill() { climb(2); }

  int fd() const override { return steps_.get(); }
  ControlEvent take() override {
    std::uint64_t step = 0;
    return ::read(steps_.get(), &step, sizeof step) == sizeof step ? ControlEvent::kTerminate
                                                                   : ControlEvent::kNone;
  }
  void terminal_opened() override {}
  std::optional<WindowSize> window_size() const override { return std::nullopt; }

 private:
  // A counter that is full has been climbed often enough.
  void climb(std::uint64_t steps) { (void)!::write(steps_.get(), &steps, sizeof steps); }

  base::UniqueFd steps_;
};

}  // namespace airlock::runner
