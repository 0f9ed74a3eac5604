// What the queue knows about the jobs and the host: values, in and out of every decision.
//
// A bound is how long a job may hold its resources at most: the sum of its phases' timeouts, the
// ends of which are enforced. Promises are made from bounds, never from guesses. A host's total is
// what can be leased sooner or later (a quarantined GPU is not in it), its free is what can be
// leased now. Times are wall times of the caller's clock.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/job.h"

namespace airlock::queue {

using model::Resources;
using model::WallTime;
using Duration = std::chrono::microseconds;

struct WaitingJob {
  std::string id;
  std::string tenant;    // empty: there are no identities, all jobs are one tenant's
  std::string gpu_type;  // "H200"; empty: any, or no GPUs
  Resources ask;
  std::uint32_t priority = 0;  // 0..model::kPriorityMax, higher first
  WallTime submitted_at{};
  Duration bound{0};
};

struct RunningJob {
  std::string id;
  std::string tenant;
  Resources held;
  WallTime latest_end{};  // start + bound
};

struct Host {
  Resources total;
  Resources free;
  std::string gpu_type;  // empty: of no particular type
};

// Longer bounds count as this long.
inline constexpr Duration kBoundMax = std::chrono::days(3'650);

struct Knobs {
  // A step of priority is worth this much waiting.
  Duration priority_step = std::chrono::minutes(30);
  // A second of bound is worth this many seconds of waiting: who asks for little comes soon.
  std::uint32_t patience = 8;
  // and at most this much, so that a long job is not put off without end.
  Duration patience_max = std::chrono::hours(72);
  // A tenant that holds the whole host lets others pass that came up to this much later.
  Duration fairness_span = std::chrono::hours(24);
  // `starvation_threshold_seconds`: who waits longer gets a reservation.
  Duration starvation_threshold = std::chrono::hours(1);
  // What a decision looks at: so many jobs of one class and tenant, and of one class.
  std::size_t window = 32;
  std::size_t class_window = 64;
};

// The place of a job in the queue, lowest first. Never changes while it waits, so that a store can
// index it: ageing costs nothing.
inline WallTime order_key(const WaitingJob& job, const Knobs& knobs) {
  const std::uint32_t priority = std::min(job.priority, model::kPriorityMax);
  return job.submitted_at - priority * knobs.priority_step +
         std::min(knobs.patience * std::min(job.bound, kBoundMax), knobs.patience_max);
}

// When a job that starts now has given everything back.
inline WallTime latest_end(const WaitingJob& job, WallTime now) {
  return now + std::min(job.bound, kBoundMax);
}

struct Reservation {
  std::string id;
  WallTime at{};  // the job starts then at the latest
};

// A job that this host can never run, and why.
struct Impossible {
  std::string id;
  std::string reason;
};

struct Decision {
  std::vector<std::string> start;  // now, all of them
  std::optional<Reservation> reservation;
  std::vector<Impossible> impossible;
};

}  // namespace airlock::queue
