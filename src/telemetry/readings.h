// Readings: what the page of metrics shows that nobody counts here: it is looked at when the page
// is asked for. Plain values, told by whoever knows (apps/airlock/service_metrics.h); their names
// on the page are in families.cc and metrics.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace airlock::telemetry {

struct Count {
  std::string name;
  std::uint64_t value = 0;
};

// How many durations were how long. `counts` has one more than `upper_us`, for all above.
struct Durations {
  std::vector<std::uint64_t> upper_us;
  std::vector<std::uint64_t> counts;
  std::uint64_t sum_us = 0;
};

struct RunReading {
  std::uint64_t slots = 0;
  std::uint64_t running = 0;
  std::uint64_t waiting = 0;
  std::uint64_t parked = 0;
  std::vector<Count> outcomes;   // of those that took place, since the start
  std::vector<Count> not_begun;  // by the reason
  Durations waited;
  Durations ran;
};

struct EgressReading {
  std::vector<Count> connections;  // by what became of them, since the start
  std::uint64_t bytes_out = 0;     // as the sandboxes see it
  std::uint64_t bytes_in = 0;
};

struct QueueReading {
  std::string weight_class;
  std::uint32_t priority = 0;
  std::uint64_t jobs = 0;
};

struct ActiveReading {
  std::string weight_class;
  std::string phase;
  std::uint64_t jobs = 0;
};

struct GpuReading {
  std::string id;  // "3"; of an instance "3:1"
  bool allocated = false;
  // Absent: the driver does not say.
  std::optional<double> utilization_percent;
  std::optional<double> temperature_celsius;
  std::optional<std::uint64_t> memory_used_bytes;
  std::optional<std::uint64_t> memory_total_bytes;
};

struct DiskReading {
  std::string mount;
  std::uint64_t used_bytes = 0;
  std::uint64_t total_bytes = 0;
};

// What the kernel does not tell is absent.
struct HostReading {
  std::optional<double> cpu_usage_percent;         // of all processors together, 0 to 100
  std::optional<std::uint64_t> memory_used_bytes;  // that nobody could have as it is
  std::optional<std::uint64_t> memory_total_bytes;
  std::vector<DiskReading> disks;
  // Of this process.
  std::optional<std::uint64_t> resident_bytes;
  std::optional<double> cpu_seconds;
  std::optional<double> start_time_seconds;  // since 1970
};

struct Readings {
  RunReading runs;
  EgressReading egress;
  std::vector<QueueReading> queue;
  std::vector<ActiveReading> active;
  std::vector<GpuReading> gpus;
  HostReading host;
};

}  // namespace airlock::telemetry
