#include "apps/airlock/job_meter.h"

#include <utility>

namespace airlock::apps {

using runner::ObservedJob;

void JobMeter::submitted(const ObservedJob& job) {
  metrics_.job_submitted(job.tenant, job.weight_class);
}

void JobMeter::driven(const ObservedJob& job, const std::string& phase,
                      std::optional<Duration> waited, bool adopted) {
  if (waited) metrics_.job_waited(job.weight_class, *waited);
  Active active{.weight_class = job.weight_class, .phase = phase, .since = {}};
  if (!adopted) active.since = clock_.steady_now();
  const std::lock_guard lock(mutex_);
  active_[job.id] = std::move(active);
}

void JobMeter::end_phase(const Active& active) {
  if (!active.since) return;
  metrics_.job_phase_ended(
      active.phase, active.weight_class,
      std::chrono::duration_cast<Duration>(clock_.steady_now() - *active.since));
}

void JobMeter::entered(const std::string& id, const std::string& phase) {
  const std::lock_guard lock(mutex_);
  const auto found = active_.find(id);
  if (found == active_.end() || found->second.phase == phase) return;
  end_phase(found->second);
  found->second.phase = phase;
  found->second.since = clock_.steady_now();
}

// What it was at has not ended.
void JobMeter::let_go(const std::string& id) {
  const std::lock_guard lock(mutex_);
  active_.erase(id);
}

void JobMeter::ended(const ObservedJob& job, model::JobState state, std::optional<Duration> took) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = active_.find(job.id);
    if (found != active_.end()) {
      end_phase(found->second);
      active_.erase(found);
    }
  }
  metrics_.job_ended(model::job_state_name(state), job.weight_class, job.tenant, took);
}

std::vector<telemetry::ActiveReading> JobMeter::active() const {
  const std::lock_guard lock(mutex_);
  std::vector<telemetry::ActiveReading> readings;
  for (const auto& [id, active] : active_) {
    readings.push_back({.weight_class = active.weight_class, .phase = active.phase, .jobs = 1});
  }
  return readings;
}

}  // namespace airlock::apps
