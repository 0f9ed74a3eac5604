// ServiceMetrics: the page of metrics of `airlock serve`: what is counted, and what is looked at
// when somebody asks for it.
//
// page() may be called by any thread until the service ends, also while it ends: from close() on
// nothing is looked at any more.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "apps/airlock/host_watch.h"
#include "apps/airlock/job_meter.h"
#include "backend/parked_backend.h"
#include "base/clock.h"
#include "egress/gateway.h"
#include "runner/run_service.h"
#include "telemetry/metrics.h"

namespace airlock::apps {

// What only the part of the daemon that has jobs can tell.
class JobReadings {
 public:
  virtual ~JobReadings() = default;
  // Adds queue and GPUs. Any thread; takes no longer, however many jobs there are.
  virtual void read(telemetry::Readings& readings) = 0;
};

class ServiceMetrics {
 public:
  // `folders`: whose file systems are shown. `clock` is borrowed.
  ServiceMetrics(const std::vector<std::filesystem::path>& folders, const base::Clock& clock);

  telemetry::Metrics& metrics() { return metrics_; }
  runner::JobObserver& job_observer() { return meter_; }

  // Borrowed until close().
  void watch(const runner::RunService& runs, const backend::ParkedBackend& backend,
             const egress::Gateway& gateway);
  void watch(JobReadings& jobs);
  void close();

  std::string page();

 private:
  telemetry::Metrics metrics_;
  JobMeter meter_;
  HostWatch host_;

  std::mutex mutex_;  // held while a page is put together: close() waits for that
  const runner::RunService* runs_ = nullptr;
  const backend::ParkedBackend* backend_ = nullptr;
  const egress::Gateway* gateway_ = nullptr;
  JobReadings* jobs_ = nullptr;
};

}  // namespace airlock::apps
