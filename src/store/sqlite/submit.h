// Submitting: a new job, or the one that the same key brought before.
//
// Runs within a transaction of the caller; with an error nothing of it may stay.
#pragma once

#include "base/result.h"
#include "store/job_values.h"
#include "store/sqlite/write_context.h"

namespace airlock::store::sqlite {

base::Result<Submitted> submit(WriteContext& context, const Submission& submission);

}  // namespace airlock::store::sqlite
