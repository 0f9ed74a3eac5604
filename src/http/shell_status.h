// The one number that a shell would show for an outcome, for contracts that know nothing else.
//
// Pure functions. What Airlock killed has the status that the tools in use for it have: 124 for a
// timeout, as timeout(1) gives, 137 for memory, as of a SIGKILL.
#pragma once

#include "model/run_result.h"

namespace airlock::http {

inline constexpr int kTimeoutStatus = 124;
inline constexpr int kKilledStatus = 137;       // 128 + SIGKILL
inline constexpr int kSetupFailedStatus = 125;  // as docker run has it
inline constexpr int kSignalStatusBase = 128;

// The program's own exit code where it ended by itself, and 128+n where signal n ended it.
int shell_status(const model::Outcome& outcome);

bool is_timeout(const model::Outcome& outcome);  // of wall time or of CPU time

}  // namespace airlock::http
