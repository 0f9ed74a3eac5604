// What a job is given: its part of the host, the time it may take.
//
// A job may ask for less than the operator's limits, never for more. Pure functions of the request
// and the settings.
#pragma once

#include <chrono>

#include "model/job.h"
#include "runner/jobs/job_settings.h"

namespace airlock::runner {

// What it asks for, at most the operator's limits. Who asks for nothing gets of CPU, memory and
// disk the part that its GPUs are of the host's, and without GPUs a quarter of the host.
model::Resources resources_of(const model::JobSpec& spec, const JobSettings& settings,
                              std::uint32_t host_gpus);

inline constexpr std::uint32_t kCpuMillisMin = 10;

// For model::Limits. Never 0, which would be no limit.
std::uint32_t cpu_rate_percent(std::uint32_t cpu_millis);

// kInvalidArgument names a wish above what the operator allows, kPermissionDenied a folder that is
// none of the operator's.
base::Status check_wishes(const model::JobSpec& spec, const JobSettings& settings);

// The operator's, or less where the job asks for less.
JobTimeouts timeouts_of(const model::JobSpec& spec, const JobSettings& settings);

}  // namespace airlock::runner
