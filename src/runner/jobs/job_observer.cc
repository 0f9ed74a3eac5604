#include "runner/jobs/job_observer.h"

namespace airlock::runner {

ObservedJob observed(const model::JobRecord& record) {
  return {.id = record.id,
          .tenant = tenant_of(record),
          .weight_class = record.spec.weight_class.to_string()};
}

ObservedJob observed(const queue::WaitingJob& job) {
  const model::WeightClass weight_class{.gpus = job.ask.gpus, .gpu_type = job.gpu_type};
  return {.id = job.id, .tenant = job.tenant, .weight_class = weight_class.to_string()};
}

void tell_driven(JobObserver& observer, const model::JobRecord& record, model::WallTime now,
                 bool adopted) {
  std::optional<JobObserver::Duration> waited;
  if (!adopted && record.attempts == 1) waited = now - record.submitted_at;
  // A claim has no phase yet.
  const std::string phase =
      record.phase.empty() ? std::string(model::job_state_name(record.state)) : record.phase;
  observer.driven(observed(record), phase, waited, adopted);
}

void tell_ended(JobObserver& observer, const model::JobRecord& record) {
  std::optional<JobObserver::Duration> took;
  if (record.started_at && record.completed_at) took = *record.completed_at - *record.started_at;
  observer.ended(observed(record), record.state, took);
}

}  // namespace airlock::runner
