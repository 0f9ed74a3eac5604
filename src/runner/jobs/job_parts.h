// JobParts: what the service of jobs and its drivers stand on.
//
// Wired by whoever has main(); all of it is borrowed for as long as any of them lives, and is safe
// from any thread.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>
#include <thread>

#include "artifact/transfer.h"
#include "backend/backend.h"
#include "base/clock.h"
#include "base/ids.h"
#include "egress/gateway.h"
#include "receipt/signing_key.h"
#include "runner/jobs/gpu_leases.h"
#include "runner/jobs/job_files.h"
#include "runner/jobs/job_observer.h"
#include "source/job_file.h"
#include "store/job_store.h"

namespace airlock::runner {

struct JobParts {
  store::JobStore& store;
  backend::Backend& backend;
  egress::Gateway& gateway;
  GpuLeases& gpus;
  const receipt::SigningKey& key;
  const artifact::StorageConfig& storage;
  const base::Clock& clock;
  base::RandomSource& random;  // safe from any thread
  const JobFiles& files;
  JobObserver& observer;
  // Whether this host has what an airlock.yaml names. May run a tool's version command.
  source::HostChecks host_checks;
  // Waits; a test need not.
  std::function<void(std::chrono::milliseconds)> sleep = [](std::chrono::milliseconds duration) {
    std::this_thread::sleep_for(duration);
  };
  // What an operator should know; any thread.
  std::function<void(std::string_view event, std::string_view job, std::string_view detail)> log;
};

}  // namespace airlock::runner
