// A moment as poll(2) wants it: how many milliseconds from now.
//
// For loops that wait for a deadline besides their descriptors. Rounded up, so that a loop which is
// woken by it finds that it is past, and does not turn until it is.
#pragma once

#include <algorithm>
#include <chrono>
#include <climits>

namespace airlock::base {

// From `now` to `due`; 0 where that is past.
inline int poll_timeout_ms(std::chrono::steady_clock::time_point now,
                           std::chrono::steady_clock::time_point due) {
  using std::chrono::milliseconds;
  const auto left = std::chrono::ceil<milliseconds>(due - now).count();
  return static_cast<int>(std::clamp<milliseconds::rep>(left, 0, INT_MAX));
}

}  // namespace airlock::base
