// The heads of all queues, for the scheduler.
//
// A queue is the pending jobs of one weight class and owner. The index of them is walked queue by
// queue, so that what an answer costs grows with the queues and jobs in it, not with those behind.
#pragma once

#include "base/result.h"
#include "store/job_values.h"
#include "store/sqlite/database.h"

namespace airlock::store::sqlite {

base::Result<WaitingJobs> waiting(Database& database, const WaitingRequest& request);

}  // namespace airlock::store::sqlite
