// Clock: where time comes from, passed in so that tests can turn it.
//
// `steady_now` never goes back and is what timeouts are measured with; `wall_now` is for people and
// records and may jump. A Clock is safe to use from any thread; ManualClock from one at a time.
#pragma once

#include <chrono>

namespace airlock::base {

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  virtual std::chrono::steady_clock::time_point steady_now() const = 0;
  virtual std::chrono::system_clock::time_point wall_now() const = 0;
};

class SystemClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point steady_now() const override {
    return std::chrono::steady_clock::now();
  }
  std::chrono::system_clock::time_point wall_now() const override {
    return std::chrono::system_clock::now();
  }
};

// Stands still until it is advanced; both of its times move together.
class ManualClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point steady_now() const override {
    return std::chrono::steady_clock::time_point(elapsed_);
  }
  std::chrono::system_clock::time_point wall_now() const override {
    return std::chrono::system_clock::time_point(
        std::chrono::duration_cast<std::chrono::system_clock::duration>(elapsed_));
  }
  void advance(std::chrono::nanoseconds duration) { elapsed_ += duration; }

 private:
  std::chrono::nanoseconds elapsed_{0};
};

}  // namespace airlock::base
