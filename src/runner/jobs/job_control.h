// JobControl: how a job that a thread drives is told to end, or to be let go of.
//
// `cancel` and `detach` may be called by any thread, any number of times; the driver looks, or
// waits on `news_fd` beside whatever it waits for. Cancelling is not taken back; detaching means:
// leave everything as it is, somebody else will go on with it.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "base/unique_fd.h"

namespace airlock::runner {

class JobControl {
 public:
  JobControl() : bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  JobControl(const JobControl&) = delete;
  JobControl& operator=(const JobControl&) = delete;

  void cancel() {
    cancelled_ = true;
    ring();
  }
  void detach() {
    detached_ = true;
    ring();
  }
  bool is_cancelled() const { return cancelled_; }
  bool is_detached() const { return detached_; }
  // For what can only be told to stop: transfers. Set by both.
  const std::atomic<bool>& stop_flag() const { return stop_; }
  // Readable for good once either was called.
  int news_fd() const { return bell_.get(); }

 private:
  void ring() {
    stop_ = true;
    const std::uint64_t one = 1;
    (void)!::write(bell_.get(), &one, sizeof one);
  }

  std::atomic<bool> cancelled_ = false;
  std::atomic<bool> detached_ = false;
  std::atomic<bool> stop_ = false;
  base::UniqueFd bell_;
};

}  // namespace airlock::runner
