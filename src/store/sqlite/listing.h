// The history: pages of jobs by any filter, newest first.
//
// Every statement is made of one index and one state (or none), so that it starts at the cursor and
// stops after a page, however many jobs there are; several states are merged here. Filters that no
// index answers look at kListTextScan jobs at most and go on with the next page.
#pragma once

#include "base/result.h"
#include "store/job_values.h"
#include "store/sqlite/database.h"

namespace airlock::store::sqlite {

// kInvalidArgument: limit out of range, or a cursor that is none of ours.
base::Result<JobPage> list(Database& database, const JobFilter& filter);

}  // namespace airlock::store::sqlite
