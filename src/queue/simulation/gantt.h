// A schedule as a picture: a Gantt chart in SVG that needs nothing else (no script, font, link).
//
// GPUs from top to bottom, time from left to right, a colour for each class. Below it, who waited:
// GPUs that were asked for by waiting jobs, in the same colours. Time is split into at most
// `kGanttColumns` pieces for the lower part, so that its size does not grow with the trace; the
// upper part has a rectangle for each run of GPUs of a job.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "queue/simulation/simulation.h"

namespace airlock::queue {

inline constexpr std::size_t kGanttColumns = 1'200;

// `title` is escaped.
std::string gantt_svg(std::span<const TraceJob> jobs, std::span<const ScheduledJob> schedule,
                      std::uint32_t gpus, std::string_view title);

}  // namespace airlock::queue
