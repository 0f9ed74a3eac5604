// What a schedule is worth: how busy the GPUs were, and how long jobs waited.
//
// Waits are from arrival to start. A quantile is the wait that this part of the jobs did not exceed
// (nearest rank). Utilization is GPU time used of GPU time there was, from the first arrival to the
// last end; the makespan is that span, and no schedule can have less than the lower bound.
#pragma once

#include <cstdint>
#include <map>
#include <span>

#include "queue/simulation/simulation.h"

namespace airlock::queue {

struct Waits {
  std::size_t jobs = 0;
  double mean_seconds = 0;
  double p50_seconds = 0;
  double p99_seconds = 0;
  double max_seconds = 0;
};

struct Summary {
  double utilization = 0;  // 0 to 1
  double makespan_seconds = 0;
  double makespan_lower_bound_seconds = 0;
  Waits waits;
  std::map<std::uint32_t, Waits> classes;  // by number of GPUs
};

Summary summarize(std::span<const TraceJob> jobs, std::span<const ScheduledJob> schedule,
                  std::uint32_t gpus);

}  // namespace airlock::queue
