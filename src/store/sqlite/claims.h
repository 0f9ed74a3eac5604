// What is done to a job after its submission: claim, update, release, cancel.
//
// Each runs within a transaction of the caller; with an error nothing of it may stay. None trusts
// its caller about the state or the claim: both are read and checked in the same transaction.
#pragma once

#include <string>

#include "base/result.h"
#include "model/job.h"
#include "store/job_values.h"
#include "store/sqlite/write_context.h"

namespace airlock::store::sqlite {

base::Result<model::JobRecord> claim(WriteContext& context, const ClaimRequest& request);
base::Result<JobHead> update(WriteContext& context, const JobClaim& claim, const JobChange& change);
base::Result<JobHead> release(WriteContext& context, const JobClaim& claim,
                              const std::string& reason);
base::Result<JobHead> request_cancel(WriteContext& context, const std::string& id);

}  // namespace airlock::store::sqlite
