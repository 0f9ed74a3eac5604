// A host of GPUs and a policy on a clock of their own: what would have happened to the jobs of a
// trace.
//
// Guarantees: the same jobs, host, policy and knobs give the same schedule. The simulation does not
// trust the policy: what does not fit, is started twice or never is an error that says so. GPUs are
// told apart: a job gets the lowest run of neighbours that is free, else the lowest free ones.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "queue/policy.h"
#include "queue/simulation/trace.h"

namespace airlock::queue {

struct ScheduledJob {
  Duration start{0};
  std::vector<std::uint32_t> gpus;  // which ones
};

// Told what happens, in order. Jobs are known by their index in the trace.
class Observer {
 public:
  Observer() = default;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  virtual ~Observer() = default;
  virtual void decided(const Snapshot&, const Decision&) {}
  virtual void started(std::size_t /*job*/, WallTime /*now*/,
                       std::span<const std::uint32_t> /*gpus*/) {}
  virtual void ended(std::size_t /*job*/, WallTime /*now*/) {}
};

// The id that the simulation gives to a job, "job_00000000002a"; and back.
std::string simulated_id(std::size_t index);
std::size_t simulated_index(std::string_view id);

struct SimulationInput {
  std::span<const TraceJob> jobs;  // by arrival
  Resources host;
  const Policy& policy;
  Knobs knobs;
  Observer* observer = nullptr;
};

// What each job of the trace got.
base::Result<std::vector<ScheduledJob>> simulate(const SimulationInput& input);

}  // namespace airlock::queue
