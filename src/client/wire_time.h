// Times as the routes of jobs have them: "2026-11-29T10:15:30.123456", UTC without saying so.
//
// Pure. Anything else is nothing; fractions may be missing or have up to six digits.
#pragma once

#include <optional>
#include <string_view>

#include "model/job.h"

namespace airlock::client {

std::optional<model::WallTime> parse_wire_time(std::string_view text);

}  // namespace airlock::client
