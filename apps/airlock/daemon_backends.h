// The backends of a daemon: the native one, or those that execution.mode wants, in their order.
//
// What is wanted has sandboxes ready; what stands in for it makes them when they are asked for.
// Nothing here decides what is weaker or stronger: backend/mode.h does.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/airlock/serve_options.h"
#include "backend/backend.h"
#include "backend/parked_backend.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "telemetry/log.h"

namespace airlock::apps {

struct DaemonBackends {
  std::unique_ptr<backend::Backend> unused_native;  // its launcher lives as long as it does
  std::unique_ptr<backend::Backend> used;           // by runs
  backend::ParkedBackend* parked = nullptr;         // in `used`
  backend::Backend* of_jobs = nullptr;              // in `used`: nothing of it is parked
};

// `brokers`: to their launchers, in the order of execution.chain(). Waits for each to be there.
base::Result<DaemonBackends> choose_backends(std::unique_ptr<backend::Backend> native,
                                             std::vector<base::UniqueFd> brokers,
                                             backend::ParkedOptions parked,
                                             const ExecutionOptions& execution,
                                             const std::string& devices, const base::Clock& clock,
                                             const telemetry::Log& log);

}  // namespace airlock::apps
