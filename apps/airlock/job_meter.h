// JobMeter: what the service of jobs tells, as series: how many run in which phase, how long each
// phase took, how jobs end.
//
// An attempt that another service began is timed from its next phase on. Any thread.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "runner/jobs/job_observer.h"
#include "telemetry/metrics.h"

namespace airlock::apps {

class JobMeter final : public runner::JobObserver {
 public:
  // Both borrowed.
  JobMeter(telemetry::Metrics& metrics, const base::Clock& clock)
      : metrics_(metrics), clock_(clock) {}

  void submitted(const runner::ObservedJob& job) override;
  void driven(const runner::ObservedJob& job, const std::string& phase,
              std::optional<Duration> waited, bool adopted) override;
  void entered(const std::string& id, const std::string& phase) override;
  void let_go(const std::string& id) override;
  void ended(const runner::ObservedJob& job, model::JobState state,
             std::optional<Duration> took) override;

  std::vector<telemetry::ActiveReading> active() const;

 private:
  struct Active {
    std::string weight_class;
    std::string phase;
    std::optional<std::chrono::steady_clock::time_point> since;  // absent: not seen
  };

  void end_phase(const Active& active);

  telemetry::Metrics& metrics_;
  const base::Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Active> active_;  // by id
};

}  // namespace airlock::apps
