#include "queue/simulation/summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace airlock::queue {
namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

Waits waits_of(std::vector<double> waits) {
  if (waits.empty()) return {};
  std::ranges::sort(waits);
  const auto at = [&](double part) {
    const double rank = std::ceil(part * static_cast<double>(waits.size()));
    return waits[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
  };
  const double sum = std::accumulate(waits.begin(), waits.end(), 0.0);
  return {.jobs = waits.size(),
          .mean_seconds = sum / static_cast<double>(waits.size()),
          .p50_seconds = at(0.50),
          .p99_seconds = at(0.99),
          .max_seconds = waits.back()};
}

// Whatever comes at or after a moment can only be done after it: by all GPUs together, and one at
// a time by jobs of which no two fit beside each other.
double lower_bound(std::span<const TraceJob> jobs, std::uint32_t gpus) {
  double bound = 0;
  double gpu_seconds = 0;
  double alone_seconds = 0;
  for (std::size_t i = jobs.size(); i-- > 0;) {
    const double arrival = seconds(jobs[i].arrival);
    const double duration = seconds(jobs[i].duration);
    gpu_seconds += duration * jobs[i].ask.gpus;
    if (2 * jobs[i].ask.gpus > gpus) alone_seconds += duration;
    bound = std::max({bound, arrival + duration, arrival + alone_seconds,
                      gpus == 0 ? 0.0 : arrival + gpu_seconds / gpus});
  }
  return jobs.empty() ? 0 : bound - seconds(jobs.front().arrival);
}

}  // namespace

Summary summarize(std::span<const TraceJob> jobs, std::span<const ScheduledJob> schedule,
                  std::uint32_t gpus) {
  Summary summary;
  std::vector<double> all;
  std::map<std::uint32_t, std::vector<double>> by_class;
  double busy = 0;
  Duration end{0};
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const double wait = seconds(schedule[i].start - jobs[i].arrival);
    all.push_back(wait);
    by_class[jobs[i].ask.gpus].push_back(wait);
    busy += seconds(jobs[i].duration) * jobs[i].ask.gpus;
    end = std::max(end, schedule[i].start + jobs[i].duration);
  }
  if (!jobs.empty()) summary.makespan_seconds = seconds(end - jobs.front().arrival);
  const double there = summary.makespan_seconds * gpus;
  summary.utilization = there > 0 ? busy / there : 0;
  summary.makespan_lower_bound_seconds = lower_bound(jobs, gpus);
  summary.waits = waits_of(std::move(all));
  for (auto& [count, waits] : by_class) summary.classes[count] = waits_of(std::move(waits));
  return summary;
}

}  // namespace airlock::queue
