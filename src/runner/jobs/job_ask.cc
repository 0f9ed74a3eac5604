#include "runner/jobs/job_ask.h"

#include <algorithm>

#include "artifact/file_store.h"
#include "artifact/location.h"
#include "model/limits.h"

namespace airlock::runner {
namespace {

constexpr std::uint32_t kShareWithoutGpus = 4;  // a quarter of the host
constexpr std::uint32_t kCpuMillisLeast = 100;
constexpr base::ByteCount kMemoryLeast = base::mebibytes(256);
constexpr base::ByteCount kDiskLeast = base::mebibytes(256);

// `count` of `parts` parts of the host, at least `least`, and no more than the host or one job may.
template <typename T>
T share(T whole, T least, T most, std::uint64_t count, std::uint64_t parts) {
  return std::min({std::max(whole / parts * count, least), most, whole});
}

base::Status refuse(const std::string& what, const std::string& most) {
  return base::fail(
      base::ErrorCode::kInvalidArgument,
      "the job asks for more " + what + " than this runner gives to one job: " + most);
}

// Told at once, and not when everything before it has been done. What is no location at all is
// refused where it is parsed.
base::Status check_file_roots(const model::JobSpec& spec, const JobSettings& settings) {
  for (const std::string* uri : {&spec.input_uri, &spec.output_uri}) {
    const auto location = artifact::parse_location(*uri);
    if (!location || location->kind != artifact::Location::Kind::kFile) continue;
    const auto rooted = artifact::find_root(location->path, settings.file_roots);
    if (rooted) continue;
    base::Error error = rooted.error();
    error.hint += "; the operator sets it with --storage-file-roots or AIRLOCK_STORAGE_FILE_ROOTS";
    return base::fail(std::move(error));
  }
  return {};
}

}  // namespace

model::Resources resources_of(const model::JobSpec& spec, const JobSettings& settings,
                              std::uint32_t host_gpus) {
  const std::uint32_t gpus = spec.weight_class.gpus;
  const std::uint64_t parts = gpus == 0 ? kShareWithoutGpus : std::max(host_gpus, gpus);
  const std::uint64_t count = std::max(gpus, 1u);
  const model::Resources& host = settings.host;
  const JobLimits& most = settings.limits;
  const auto bytes = [&](base::ByteCount whole, base::ByteCount least, base::ByteCount limit) {
    return base::ByteCount(share(whole.count(), least.count(), limit.count(), count, parts));
  };
  return {.gpus = gpus,
          .cpu_millis = spec.cpu_millis.value_or(static_cast<std::uint32_t>(share<std::uint64_t>(
              host.cpu_millis, kCpuMillisLeast, most.cpu_millis, count, parts))),
          .memory = spec.memory.value_or(bytes(host.memory, kMemoryLeast, most.memory)),
          .disk = spec.disk.value_or(bytes(host.disk, kDiskLeast, most.disk))};
}

std::uint32_t cpu_rate_percent(std::uint32_t cpu_millis) {
  return std::max(cpu_millis, kCpuMillisMin) / 10;
}

base::Status check_wishes(const model::JobSpec& spec, const JobSettings& settings) {
  const JobLimits& most = settings.limits;
  if (spec.cpu_millis && *spec.cpu_millis < kCpuMillisMin) {
    return base::fail(base::ErrorCode::kInvalidArgument, "cpu_cores is below 0.01");
  }
  if (spec.cpu_millis && *spec.cpu_millis > most.cpu_millis) {
    return refuse("CPU cores", std::to_string(most.cpu_millis / 1'000));
  }
  if (spec.memory && *spec.memory > most.memory) {
    return refuse("memory", base::format_byte_count(most.memory));
  }
  if (spec.disk && *spec.disk > most.disk) {
    return refuse("disk", base::format_byte_count(most.disk));
  }
  if (spec.memory && *spec.memory < model::kMemoryMin) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "memory_gb is below " + base::format_byte_count(model::kMemoryMin));
  }
  if (spec.disk && *spec.disk < model::kDiskMin) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "disk_quota_gb is below " + base::format_byte_count(model::kDiskMin));
  }
  const JobTimeouts& longest = settings.timeouts;
  if (spec.prep_timeout && *spec.prep_timeout > longest.prep) {
    return refuse("time in prep", base::format_duration(longest.prep));
  }
  if (spec.inference_timeout && *spec.inference_timeout > longest.inference) {
    return refuse("time in inference", base::format_duration(longest.inference));
  }
  return check_file_roots(spec, settings);
}

JobTimeouts timeouts_of(const model::JobSpec& spec, const JobSettings& settings) {
  JobTimeouts timeouts = settings.timeouts;
  timeouts.prep = std::min(timeouts.prep, spec.prep_timeout.value_or(timeouts.prep));
  timeouts.inference =
      std::min(timeouts.inference, spec.inference_timeout.value_or(timeouts.inference));
  return timeouts;
}

}  // namespace airlock::runner
