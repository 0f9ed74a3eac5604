// What grows while a job runs: phases, egress, seal, artifacts, digests.
//
// Runs within a transaction of the caller. Too many of something is kLimitExceeded, and names it.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "store/job_values.h"
#include "store/sqlite/database.h"

namespace airlock::store::sqlite {

// Nothing is written when `change` has none of it.
base::Status change_details(Database& database, std::int64_t seq, const JobChange& change);

}  // namespace airlock::store::sqlite
