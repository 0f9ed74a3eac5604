// JobStore: every job that was accepted, kept so that nothing but its end can take it away.
//
// Every call is one transaction: all of it or nothing, and what is answered without an error is
// durable. Each is answered exactly once through `done`, on a thread of the store, in which nothing
// may block: hand the result on and return. `done` may make further calls, but may not wait for
// them nor destroy the store. A store that is too busy (kBusy) answers before the call returns, on
// the caller's thread. Destroying it finishes and answers everything that was asked; what is asked
// meanwhile, by a `done`, is refused with kCancelled.
//
// What several stores in one process or on many hosts share is told by the errors: kNotFound: no
// such job; kPermissionDenied: the claim is not held any more, the job has to be let go of at once;
// kBusy: not now (claimed by another, ended); kUnavailable: locked, full; kInvalidArgument: never.
// Safe from any thread. The contract suite (contract_*_test.cc) holds for every implementation.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/job.h"
#include "store/job_values.h"

namespace airlock::store {

template <typename T>
using Done = std::function<void(base::Result<T>)>;

class JobStore {
 public:
  JobStore() = default;
  JobStore(const JobStore&) = delete;
  JobStore& operator=(const JobStore&) = delete;
  virtual ~JobStore() = default;

  // This host's own id among runners; made when the store first saw it, then always the same.
  virtual const std::string& runner_id() const = 0;

  // kInvalidArgument: the key was used for another spec, or something is too large or no UTF-8.
  virtual void submit(Submission submission, Done<Submitted> done) = 0;

  // kPending -> kCloning, with one more attempt and a new token. kBusy: it does not wait any more.
  // The record is whole: spec, and what earlier attempts left.
  virtual void claim(ClaimRequest request, Done<model::JobRecord> done) = 0;
  virtual void update(JobClaim claim, JobChange change, Done<JobHead> done) = 0;
  // Back to kPending, without runner and GPUs; attempts and phases stay. A job that somebody wants
  // cancelled becomes kCancelled instead. `reason` goes to the feed.
  virtual void release(JobClaim claim, std::string reason, Done<JobHead> done) = 0;
  // kPending -> kCancelled; a running job gets its flag, and the holder of the claim sees it with
  // the next update; one that has ended stays as it is. Tells what it is now.
  virtual void request_cancel(std::string id, Done<JobHead> done) = 0;

  virtual void prune(PruneRequest request, Done<Pruned> done) = 0;

  virtual void find(std::string id, Done<std::optional<model::JobRecord>> done) = 0;
  virtual void list(JobFilter filter, Done<JobPage> done) = 0;
  virtual void count(std::optional<std::string> owner, Done<JobCounts> done) = 0;
  virtual void waiting(WaitingRequest request, Done<WaitingJobs> done) = 0;
  // Jobs in a running state that `runner_id` claimed, oldest first; "": that anybody did.
  virtual void unfinished(std::string runner_id, Done<std::vector<model::JobRecord>> done) = 0;
  virtual void changes_since(ChangesRequest request, Done<ChangesPage> done) = 0;
  virtual void find_runner(std::string id, Done<std::optional<RunnerRecord>> done) = 0;

  // `listener` is told of the newest change of the feed after each commit, on a thread of the
  // store, under the rules of `done`. One at a time; {} takes it away, and when that returns the
  // old one is not called any more (not from within itself).
  virtual void on_change(std::function<void(std::uint64_t last)> listener) = 0;
};

}  // namespace airlock::store
