// Traces of jobs: when each came, what it asked for, how long it ran. From CSV or made with a seed.
//
// CSV: a line of column names, then a line for each job, in any order of arrival. Columns
// `arrival_seconds`, `gpus` and `duration_seconds` are needed; `priority`, `tenant` and
// `bound_seconds` (of its timeouts) are used where they are; others are ignored. An error names the
// line, the column, and what would be right. Everything is bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "queue/waiting_job.h"

namespace airlock::queue {

inline constexpr std::size_t kTraceBytesMax = std::size_t{64} << 20;
inline constexpr std::size_t kTraceJobsMax = 200'000;
inline constexpr std::uint32_t kSimulatedGpusMax = 1'024;
inline constexpr Duration kTraceArrivalMax = std::chrono::days(3'650);
inline constexpr Duration kTraceDurationMax = std::chrono::days(30);

struct TraceJob {
  Duration arrival{0};  // since the beginning of the trace
  Duration duration{0};
  Duration bound{0};  // what it says beforehand; never less than its duration
  Resources ask;
  std::uint32_t priority = 0;
  std::string tenant;
  std::optional<Duration> own_bound;  // of the column `bound_seconds`
  std::size_t line = 0;               // of the file, from 1
};

// `gpus`: of the host; a job that asks for more is an error. Bounds are the durations, or longer
// if the trace says so. By arrival.
base::Result<std::vector<TraceJob>> parse_trace(std::string_view text, std::uint32_t gpus);

// What a job says of its length beforehand.
enum class BoundKind {
  kExact,    // its duration
  kDouble,   // twice that
  kTimeout,  // the longest duration of the trace, for every job: nothing is known
};
std::optional<BoundKind> find_bound_kind(std::string_view name);  // "exact", "x2", "timeout"
// A job with a bound of its own keeps it.
void set_bounds(std::vector<TraceJob>& jobs, BoundKind kind);

struct MixOptions {
  std::uint64_t seed = 1;
  std::uint32_t gpus = 8;  // of the host
  double load = 0.9;       // of its GPU time that is asked for, 0.01 to 2
  std::size_t jobs = 5'000;
  std::size_t tenants = 4;
};
// Jobs of 1, 2, 4 and 8 GPUs (50, 20, 15 and 15 of 100; as far as the host has them) that come at
// random, with durations from seconds to a day, most of them short. The same for the same seed.
std::vector<TraceJob> make_mix(const MixOptions& options);

}  // namespace airlock::queue
