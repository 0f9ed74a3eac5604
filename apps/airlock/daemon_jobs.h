// DaemonJobs: the part of the daemon that has jobs: store, key, gateway, GPUs, and the service on
// them, wired together.
//
// What it keeps is in `service/` of the state directory, which belongs to the daemon's user. One
// owner for all of it; destroying it lets go of the jobs that run.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "apps/airlock/serve_options.h"
#include "apps/airlock/service_metrics.h"
#include "backend/backend.h"
#include "base/clock.h"
#include "base/result.h"
#include "egress/gateway.h"
#include "http/run_catalog.h"
#include "runner/jobs/job_api.h"
#include "runner/jobs/job_observer.h"
#include "telemetry/log.h"

namespace airlock::apps {

class DaemonJobs : public JobReadings {
 public:
  // All borrowed. Opens what is there, and adopts what still runs.
  static base::Result<std::unique_ptr<DaemonJobs>> open(
      const ServeOptions& options, backend::Backend& backend, egress::Gateway& gateway,
      const http::RunCatalog& catalog, const base::Clock& clock, const telemetry::Log& log,
      runner::JobObserver& observer);
  virtual runner::JobApi& api() = 0;
  // Nothing more is started, what runs is let go of.
  virtual void stop() = 0;
};

// `service/` and `files/` of the state directory, made for that user. To be called while we still
// may.
base::Status prepare_state(const ServeOptions& options, uid_t uid, gid_t gid);

}  // namespace airlock::apps
