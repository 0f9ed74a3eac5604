// Rows of the database as jobs.
//
// What cannot be read back is kIo and names the job and the member.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "model/job.h"
#include "store/sqlite/database.h"

namespace airlock::store::sqlite {

// The whole record.
base::Result<std::optional<model::JobRecord>> find_job(Database& database, const std::string& id);
// The whole record, or nothing when it was pruned meanwhile.
base::Result<std::optional<model::JobRecord>> read_job(Database& database, std::int64_t seq);
// Without what grows while the job runs.
base::Result<std::optional<model::JobRecord>> read_summary(Database& database, std::int64_t seq);

}  // namespace airlock::store::sqlite
