// Pruning: jobs that ended go, oldest end first, by age and by count.
//
// Runs within a transaction of the caller.
#pragma once

#include "base/result.h"
#include "store/job_values.h"
#include "store/sqlite/write_context.h"

namespace airlock::store::sqlite {

base::Result<Pruned> prune(WriteContext& context, const PruneRequest& request);

}  // namespace airlock::store::sqlite
