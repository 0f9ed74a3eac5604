// Admission: whether one more request may wait for a thread of the store.
//
// kBusy when too many wait already; kCancelled when the store is being closed, so that a chain of
// calls, each made by the answer of the one before, comes to its end.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace airlock::store::sqlite {

inline constexpr std::size_t kQueuedMax = 8'192;

enum class Admission { kOpen, kClosed };

inline base::Status admit(Admission admission, std::size_t queued) {
  if (admission == Admission::kClosed) {
    return base::fail(base::ErrorCode::kCancelled, "the store is being closed");
  }
  if (queued >= kQueuedMax) {
    return base::fail(
        base::ErrorCode::kBusy,
        "the store has too much to do: " + std::to_string(kQueuedMax) + " requests wait for it",
        "Try again in a second.");
  }
  return {};
}

}  // namespace airlock::store::sqlite
