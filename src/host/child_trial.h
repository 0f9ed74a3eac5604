// Runs one function in a forked child and brings back what it found, within a deadline.
//
// The child must not allocate, lock or print: it fills a TrialRecord and returns. It dies with its
// parent, and is killed when the deadline passes. Nothing of it is left when the call returns.
#pragma once

#include <chrono>
#include <cstdint>

#include "host/host_probe.h"

namespace airlock::host {

// Fixed size, written to a pipe at once. `step` is a string literal, which parent and child share.
struct TrialRecord {
  std::int32_t os_errno = 0;
  std::int64_t value = 0;
  const char* step = "";
};

// The deadline of a whole trial: a thousand times what it takes on a healthy host.
inline constexpr std::chrono::milliseconds kTrialDeadline{2'000};

using TrialFunction = void (*)(TrialRecord* record);
Attempt run_in_child(TrialFunction function);

// For use in the child: notes the current errno and the step, unless `worked`. Returns `worked`.
bool note(TrialRecord* record, bool worked, const char* step);

}  // namespace airlock::host
