#include "telemetry/families.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "telemetry/label_values.h"

namespace airlock::telemetry {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double kMicroseconds = 1e6;

void add_gauge(const char* name, const char* help, std::uint64_t value,
               std::vector<MetricFamily>& page) {
  FamilyBuilder family(name, help, MetricType::Gauge);
  family.add({}, value);
  std::move(family).put(page);
}

template <typename Number>
void add_gauge(const char* name, const char* help, const std::optional<Number>& value,
               std::vector<MetricFamily>& page) {
  FamilyBuilder family(name, help, MetricType::Gauge);
  if (value) family.add({}, *value);
  std::move(family).put(page);
}

void add_durations(const char* name, const char* help, const Durations& durations,
                   std::vector<MetricFamily>& page) {
  FamilyBuilder family(name, help, MetricType::Histogram);
  family.add({}, durations);
  std::move(family).put(page);
}

template <typename Number>
void add_of_gpus(const char* name, const char* help, const std::vector<GpuReading>& gpus,
                 std::optional<Number> GpuReading::* member, std::vector<MetricFamily>& page) {
  FamilyBuilder family(name, help, MetricType::Gauge);
  for (const GpuReading& gpu : gpus) {
    if (gpu.*member) family.add({{"gpu_id", printable_label(gpu.id)}}, *(gpu.*member));
  }
  std::move(family).put(page);
}

void add_counts(const char* name, const char* help, const char* label,
                const std::vector<Count>& counts, std::vector<MetricFamily>& page) {
  FamilyBuilder family(name, help, MetricType::Counter);
  for (const Count& count : counts) family.add({{label, count.name}}, count.value);
  std::move(family).put(page);
}

}  // namespace

FamilyBuilder::FamilyBuilder(const char* name, const char* help, MetricType type) {
  family_.name = name;
  family_.help = help;
  family_.type = type;
}

prometheus::ClientMetric& FamilyBuilder::append(Labels labels) {
  prometheus::ClientMetric& metric = family_.metric.emplace_back();
  for (const auto& [name, value] : labels) metric.label.push_back({name, value});
  return metric;
}

void FamilyBuilder::add(Labels labels, double value) {
  prometheus::ClientMetric& metric = append(labels);
  if (family_.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

void FamilyBuilder::add(Labels labels, const Durations& durations) {
  prometheus::ClientMetric::Histogram& histogram = append(labels).histogram;
  for (std::size_t i = 0; i < durations.counts.size(); ++i) {
    histogram.sample_count += durations.counts[i];
    const double upper = i < durations.upper_us.size()
                             ? static_cast<double>(durations.upper_us[i]) / kMicroseconds
                             : std::numeric_limits<double>::infinity();
    histogram.bucket.push_back({histogram.sample_count, upper});
  }
  histogram.sample_sum = static_cast<double>(durations.sum_us) / kMicroseconds;
}

void FamilyBuilder::put(std::vector<MetricFamily>& page) && {
  if (!family_.metric.empty()) page.push_back(std::move(family_));
}

void add_runs(const RunReading& runs, std::vector<MetricFamily>& page) {
  add_counts("airlock_runs_total", "Runs that took place, by their outcome.", "outcome",
             runs.outcomes, page);
  add_counts("airlock_runs_not_begun_total",
             "Runs that did not take place or ended without an outcome, by the reason.", "reason",
             runs.not_begun, page);
  add_durations("airlock_run_duration_seconds", "From the slot to the result.", runs.ran, page);
  add_durations("airlock_run_wait_seconds", "From the request to the slot.", runs.waited, page);
  FamilyBuilder slots("airlock_run_slots", "Runs that can take place at once.", MetricType::Gauge);
  slots.add({{"state", "in_use"}}, runs.running);
  slots.add({{"state", "free"}}, runs.slots - std::min(runs.slots, runs.running));
  std::move(slots).put(page);
  add_gauge("airlock_runs_waiting", "Runs that wait for a slot.", runs.waiting, page);
  add_gauge("airlock_parked_sandboxes", "Sandboxes that are kept ready.", runs.parked, page);
}

void add_egress(const EgressReading& egress, std::vector<MetricFamily>& page) {
  add_counts("airlock_egress_connections_total",
             "Connections that programs asked for, by what became of them.", "result",
             egress.connections, page);
  add_counts("airlock_egress_bytes_total", "Bytes that programs sent (out) and were sent (in).",
             "direction", {{"out", egress.bytes_out}, {"in", egress.bytes_in}}, page);
}

void add_gpus(const std::vector<GpuReading>& gpus, std::vector<MetricFamily>& page) {
  add_of_gpus("sandbox_gpu_utilization_percent", "How busy the GPU is.", gpus,
              &GpuReading::utilization_percent, page);
  add_of_gpus("sandbox_gpu_memory_used_bytes", "Memory of the GPU that is in use.", gpus,
              &GpuReading::memory_used_bytes, page);
  add_of_gpus("sandbox_gpu_memory_total_bytes", "Memory of the GPU.", gpus,
              &GpuReading::memory_total_bytes, page);
  add_of_gpus("sandbox_gpu_temperature_celsius", "How hot the GPU is.", gpus,
              &GpuReading::temperature_celsius, page);
  FamilyBuilder allocated("sandbox_gpu_allocated", "1 if a job has the GPU, else 0.",
                          MetricType::Gauge);
  for (const GpuReading& gpu : gpus) {
    allocated.add({{"gpu_id", printable_label(gpu.id)}}, gpu.allocated ? 1.0 : 0.0);
  }
  std::move(allocated).put(page);
}

void add_host(const HostReading& host, std::vector<MetricFamily>& page) {
  add_gauge("sandbox_cpu_usage_percent", "How busy the processors of this machine are.",
            host.cpu_usage_percent, page);
  add_gauge("sandbox_memory_used_bytes", "Memory of this machine that is in use.",
            host.memory_used_bytes, page);
  add_gauge("sandbox_memory_total_bytes", "Memory of this machine.", host.memory_total_bytes, page);
  FamilyBuilder used("sandbox_disk_used_bytes", "Bytes of the file system that are in use.",
                     MetricType::Gauge);
  FamilyBuilder total("sandbox_disk_total_bytes", "Bytes of the file system.", MetricType::Gauge);
  for (const DiskReading& disk : host.disks) {
    used.add({{"mount", printable_label(disk.mount)}}, disk.used_bytes);
    total.add({{"mount", printable_label(disk.mount)}}, disk.total_bytes);
  }
  std::move(used).put(page);
  std::move(total).put(page);
  add_gauge("process_resident_memory_bytes", "Resident memory of the daemon.", host.resident_bytes,
            page);
  add_gauge("process_start_time_seconds", "When the daemon started, in seconds since 1970.",
            host.start_time_seconds, page);
  FamilyBuilder cpu("process_cpu_seconds_total", "User and system time of the daemon.",
                    MetricType::Counter);
  if (host.cpu_seconds) cpu.add({}, *host.cpu_seconds);
  std::move(cpu).put(page);
}

}  // namespace airlock::telemetry
