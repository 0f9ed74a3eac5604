#include "http/shell_status.h"

namespace airlock::http {

bool is_timeout(const model::Outcome& outcome) {
  return outcome.kind == model::OutcomeKind::kWallTimeout ||
         outcome.kind == model::OutcomeKind::kCpuTimeout;
}

int shell_status(const model::Outcome& outcome) {
  if (is_timeout(outcome)) return kTimeoutStatus;
  // Also where only a child was killed and the program itself went on to exit with 0.
  if (outcome.kind == model::OutcomeKind::kOutOfMemory) return kKilledStatus;
  if (outcome.kind == model::OutcomeKind::kSetupFailed) return kSetupFailedStatus;
  // A cut output must not look like success, even if the program was just done.
  if (outcome.kind == model::OutcomeKind::kOutputLimit) return kKilledStatus;
  if (outcome.signal) return kSignalStatusBase + *outcome.signal;
  return outcome.exit_code.value_or(kKilledStatus);
}

}  // namespace airlock::http
