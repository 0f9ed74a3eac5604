// Which tier runs get on this host, after all other checks were made.
//
// What keeps the full tier away fails, until it is known that a lower one can be had (and was
// allowed): then it is a warning, whose fix gives the better tier. What stops every tier goes on
// failing.
#pragma once

#include <string_view>

#include "host/finding.h"

namespace airlock::host {

// What the operator allows, as `airlock run` and `airlock serve` are told it.
enum class ProcessTier { kRefused, kAllowed };

// `lower`: what airlock-nest says it can make here, "nested-gvisor" or "process"; empty if it could
// not be asked. Sets `report.tier`.
void apply_tier(Report& report, std::string_view lower, ProcessTier allowed);

}  // namespace airlock::host
