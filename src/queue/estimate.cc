#include "queue/estimate.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <utility>
#include <vector>

#include "queue/resources.h"

namespace airlock::queue {
namespace {

// Jobs start one after the other, each as soon as enough of those before it have ended.
class InOrder {
 public:
  InOrder(std::span<const RunningJob> running, const Host& host, WallTime now)
      : free_(host.free), now_(now) {
    for (const RunningJob& job : running) ends_.push({std::max(job.latest_end, now), job.held});
  }

  WallTime start(const WaitingJob& job) {
    while (!ends_.empty() && (ends_.top().at <= now_ || !fits(job.ask, free_))) {
      now_ = std::max(now_, ends_.top().at);
      free_ = plus(free_, ends_.top().held);
      ends_.pop();
    }
    free_ = minus(free_, job.ask);
    ends_.push({latest_end(job, now_), job.ask});
    return now_;
  }

 private:
  struct End {
    WallTime at{};
    Resources held;
    bool operator<(const End& other) const { return at > other.at; }  // the earliest on top
  };
  Resources free_;
  WallTime now_;
  std::priority_queue<End> ends_;
};

// How long the whole host would be busy with these.
double host_seconds(std::span<const WaitingJob* const> jobs, const Host& host) {
  double sum = 0;
  for (const WaitingJob* const job : jobs) {
    if (!why_impossible(*job, host).empty()) continue;
    sum += dominant_share(job->ask, host.total) *
           std::chrono::duration<double>(std::min(job->bound, kBoundMax)).count();
  }
  return sum;
}

}  // namespace

std::optional<Estimate> estimate_start(const WaitingQueue& queue, std::string_view id,
                                       std::span<const RunningJob> running, const Host& host,
                                       WallTime now) {
  const WaitingJob* const job = queue.find(id);
  if (job == nullptr || !why_impossible(*job, host).empty()) return std::nullopt;
  const std::size_t position = queue.position(id).value_or(0);
  const std::size_t looked_at = std::min(position, kEstimateJobsMax + kEstimateRestMax);
  const std::vector<const WaitingJob*> before = queue.first(looked_at);
  InOrder order(running, host, now);
  const std::size_t followed = std::min(looked_at, kEstimateJobsMax);
  for (std::size_t i = 0; i < followed; ++i) {
    if (why_impossible(*before[i], host).empty()) (void)order.start(*before[i]);
  }
  WallTime start = order.start(*job);
  if (position > followed) {
    const std::span<const WaitingJob* const> rest = std::span(before).subspan(followed);
    const double seconds = host_seconds(rest, host) * static_cast<double>(position - followed) /
                           static_cast<double>(rest.size());
    start += Duration(std::llround(seconds * 1e6));
  }
  return Estimate{.position = position, .start = start};
}

}  // namespace airlock::queue
