// Which state may follow which: the one table that every store obeys.
//
// A job goes forward through the running states, may leave some out, and ends exactly once: nothing
// follows a terminal state. It goes back only to kPending, by a release. Completed follows the last
// phase only. Pending becomes running by a claim, and cancelled by request_cancel, both of which
// need no claim before; everything else is for the holder of the claim.
#pragma once

#include "model/job.h"

namespace airlock::store {

constexpr bool is_running(model::JobState state) {
  return state > model::JobState::kPending && !model::is_terminal(state);
}

// `from` and `to` differ: staying in a state is no transition.
constexpr bool is_allowed(model::JobState from, model::JobState to) {
  using enum model::JobState;
  if (model::is_terminal(from)) return false;
  if (from == kPending) return to == kCloning || to == kCancelled;
  switch (to) {
    case kPending: return true;
    case kCloning:
    case kBuilding:
    case kPrep:
    case kInference: return to > from;
    case kCompleted: return from == kInference;
    case kFailed:
    case kTimeout:
    case kCancelled: return true;
  }
  return false;
}

}  // namespace airlock::store
