#include "apps/airlock/service_metrics.h"

#include <utility>

#include "model/outcome.h"

namespace airlock::apps {
namespace {

telemetry::Durations durations_of(const runner::DurationCounts& counts) {
  return {.upper_us = {runner::kDurationBucketsUs.begin(), runner::kDurationBucketsUs.end()},
          .counts = {counts.buckets.begin(), counts.buckets.end()},
          .sum_us = counts.sum_us};
}

telemetry::RunReading read_runs(const runner::RunServiceStats& stats) {
  telemetry::RunReading runs{.slots = stats.slots,
                             .running = stats.running,
                             .waiting = stats.waiting,
                             .parked = 0,
                             .outcomes = {},
                             .not_begun = {{"failed", stats.failed},
                                           {"refused", stats.refused},
                                           {"waited_out", stats.waited_out},
                                           {"cancelled", stats.cancelled}},
                             .waited = durations_of(stats.waited),
                             .ran = durations_of(stats.ran)};
  for (std::size_t i = 0; i < stats.outcomes.size(); ++i) {
    const auto kind = static_cast<model::OutcomeKind>(i);
    runs.outcomes.push_back({std::string(model::outcome_name(kind)), stats.outcomes[i]});
  }
  return runs;
}

telemetry::EgressReading read_egress(const egress::GatewayTotals& totals) {
  return {.connections = {{"made", totals.connected},
                          {"failed", totals.failed},
                          {"refused", totals.refused}},
          .bytes_out = totals.bytes_out,
          .bytes_in = totals.bytes_in};
}

}  // namespace

ServiceMetrics::ServiceMetrics(const std::vector<std::filesystem::path>& folders,
                               const base::Clock& clock)
    : metrics_(AIRLOCK_VERSION), meter_(metrics_, clock), host_(folders, clock) {}

void ServiceMetrics::watch(const runner::RunService& runs, const backend::ParkedBackend& backend,
                           const egress::Gateway& gateway) {
  const std::lock_guard lock(mutex_);
  runs_ = &runs;
  backend_ = &backend;
  gateway_ = &gateway;
}

void ServiceMetrics::watch(JobReadings& jobs) {
  const std::lock_guard lock(mutex_);
  jobs_ = &jobs;
}

void ServiceMetrics::close() {
  const std::lock_guard lock(mutex_);
  runs_ = nullptr;
  backend_ = nullptr;
  gateway_ = nullptr;
  jobs_ = nullptr;
}

std::string ServiceMetrics::page() {
  telemetry::Readings readings;
  readings.host = host_.read();
  readings.active = meter_.active();
  const std::lock_guard lock(mutex_);
  if (runs_ != nullptr) readings.runs = read_runs(runs_->stats());
  if (backend_ != nullptr) readings.runs.parked = backend_->stats().parked;
  if (gateway_ != nullptr) readings.egress = read_egress(gateway_->totals());
  if (jobs_ != nullptr) jobs_->read(readings);
  return metrics_.text(readings);
}

}  // namespace airlock::apps
