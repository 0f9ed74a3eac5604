// When a waiting job starts, as far as can be said: what the API shows with its place in the queue.
//
// Every job counts with its bound and none passes another, so a job usually starts much earlier;
// jobs that come later and go before it can make it later. Of a long queue the first
// `kEstimateJobsMax` are followed one by one, and the rest by how much of the host it asks for.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "queue/waiting_job.h"
#include "queue/waiting_queue.h"

namespace airlock::queue {

inline constexpr std::size_t kEstimateJobsMax = 256;
inline constexpr std::size_t kEstimateRestMax = 2'048;  // looked at; others are like their mean

struct Estimate {
  std::size_t position = 0;  // how many are before it
  WallTime start{};
};

// Nothing: no such job waits, or it can never run on this host.
std::optional<Estimate> estimate_start(const WaitingQueue& queue, std::string_view id,
                                       std::span<const RunningJob> running, const Host& host,
                                       WallTime now);

}  // namespace airlock::queue
