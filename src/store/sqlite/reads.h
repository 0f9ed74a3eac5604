// What is asked of the store beside single jobs and pages of them.
//
// Each runs on a connection that only reads, in a snapshot of its own where it has several
// statements.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/job_values.h"
#include "store/sqlite/database.h"

namespace airlock::store::sqlite {

base::Result<JobCounts> count(Database& database, const std::optional<std::string>& owner);
base::Result<std::vector<model::JobRecord>> unfinished(Database& database,
                                                       const std::string& runner_id);
base::Result<ChangesPage> changes_since(Database& database, const ChangesRequest& request);
base::Result<std::optional<RunnerRecord>> find_runner(Database& database, const std::string& id);

}  // namespace airlock::store::sqlite
