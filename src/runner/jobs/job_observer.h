// JobObserver: who is told how jobs go, to count them.
//
// Called on the threads of the service of jobs and of the store: a call may not block, nor call
// back. What was before this service started is not told a second time.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "model/job.h"
#include "queue/waiting_job.h"

namespace airlock::runner {

struct ObservedJob {
  std::string id;
  std::string tenant;  // whose it is; empty: there are no identities
  std::string weight_class;
};

inline std::string tenant_of(const model::JobRecord& record) {
  return record.owner.empty() ? record.spec.validator_hotkey : record.owner;
}
ObservedJob observed(const model::JobRecord& record);
ObservedJob observed(const queue::WaitingJob& job);

class JobObserver {
 public:
  using Duration = std::chrono::microseconds;

  virtual ~JobObserver() = default;
  // Accepted: it is durable.
  virtual void submitted(const ObservedJob& job) = 0;
  // A thread drives it from here on, in `phase` (JobRecord::phase). `waited` from its submission,
  // of first attempts; `adopted`: the attempt began before this service did.
  virtual void driven(const ObservedJob& job, const std::string& phase,
                      std::optional<Duration> waited, bool adopted) = 0;
  virtual void entered(const std::string& id, const std::string& phase) = 0;
  // Nobody drives it any more, and it has not ended: it waits again, or another service has it.
  virtual void let_go(const std::string& id) = 0;
  // Terminal, also of a job that nobody ever drove. `took`: from the start of its last attempt.
  virtual void ended(const ObservedJob& job, model::JobState state,
                     std::optional<Duration> took) = 0;
};

// `record` is claimed, or has ended.
void tell_driven(JobObserver& observer, const model::JobRecord& record, model::WallTime now,
                 bool adopted);
void tell_ended(JobObserver& observer, const model::JobRecord& record);

}  // namespace airlock::runner
