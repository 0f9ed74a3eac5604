// The heads of all queues, for the scheduler.
//
// A queue is the pending jobs of one weight class and owner. The index of them is walked queue by
// queue, so that what an answer costs grows with the queues and jobs in it, not with those behind.
#pragma once

#include <string_view>

#include "base/result.h"
#include "store/job_values.h"
#include "store/sqlite/database.h"

namespace airlock::store::sqlite {

base::Result<WaitingJobs> waiting(Database& database, const WaitingRequest& request);

// For the test of query plans: the queue after (?1 class, ?2 owner), and the first ?3 of a queue.
extern const std::string_view kNextClassSql;
extern const std::string_view kNextOwnerSql;
extern const std::string_view kHeadOfQueueSql;

}  // namespace airlock::store::sqlite
