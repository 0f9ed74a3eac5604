#include "telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "telemetry/families.h"

namespace airlock::telemetry {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;
using Seconds = std::chrono::duration<double>;
using Buckets = prometheus::Histogram::BucketBoundaries;

constexpr std::string_view kMethods[] = {"GET",     "HEAD", "POST", "DELETE",
                                         "OPTIONS", "PUT",  "PATCH"};
constexpr std::string_view kUnread = "(unread)";
constexpr const char* kWholeJob = "total";

// Upper ends in seconds, as the evaluation host that this replaces has them.
Buckets phase_buckets() { return {10, 30, 60, 300, 600, 1'800, 3'600, 7'200}; }
Buckets wait_buckets() { return {10, 30, 60, 300, 600, 1'800, 3'600}; }
Buckets request_buckets() { return {.01, .05, .1, .5, 1, 2, 5}; }

// Of wall times, which may be set back meanwhile; a sum that shrinks would look like a new start.
double seconds_of(Metrics::Duration duration) {
  return Seconds(std::max(duration, Metrics::Duration::zero())).count();
}

auto& make_counters(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

auto& make_histograms(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

}  // namespace

Metrics::Metrics(std::string_view version)
    : registry_(std::make_unique<prometheus::Registry>()),
      submitted_(make_counters(*registry_, "sandbox_jobs_submitted_total",
                               "Jobs that were accepted, by whose they are.")),
      completed_(make_counters(*registry_, "sandbox_jobs_completed_total",
                               "Jobs that have ended, by how and whose they are.")),
      requests_(
          make_counters(*registry_, "sandbox_api_requests_total", "Requests that were answered.")),
      auth_failures_(make_counters(*registry_, "sandbox_auth_failures_total",
                                   "Requests that were refused for want of the key.")),
      phase_seconds_(make_histograms(*registry_, "sandbox_job_duration_seconds",
                                     "How long each phase of a job took, and all of it (total).")),
      wait_seconds_(make_histograms(*registry_, "sandbox_queue_wait_seconds",
                                    "From a job's submission to its first attempt.")),
      request_seconds_(make_histograms(*registry_, "sandbox_api_request_duration_seconds",
                                       "From a request's last byte to its answer.")) {
  prometheus::BuildGauge()
      .Name("sandbox_system_info")
      .Help("What serves this page.")
      .Register(*registry_)
      .Add({{"service", "airlock"}, {"version", std::string(version)}})
      .Set(1);
  // Before the first one they are 0, so that an increase is seen.
  for (const char* const reason : {"missing", "invalid"}) {
    auth_failures_.Add({{"auth_type", "api_key"}, {"reason", reason}});
  }
}

Metrics::~Metrics() = default;

// --- requests ------------------------------------------------------------------------------------
void Metrics::request_answered(const AnsweredRequest& request) {
  const bool known = std::ranges::find(kMethods, request.method) != std::end(kMethods);
  count_request(known ? request.method : kOthers, request);
}

void Metrics::request_unread(int status) {
  count_request(kUnread, {.method = {}, .endpoint = kUnread, .status = status, .took = {}});
}

// The library finds a series by hashing all of its labels: here it is found once.
void Metrics::count_request(std::string_view method, const AnsweredRequest& request) {
  RequestSeries series;
  {
    const std::lock_guard lock(mutex_);
    const auto found = request_series_.find(std::tuple(method, request.endpoint, request.status));
    if (found != request_series_.end()) {
      series = found->second;
    } else {
      const prometheus::Labels labels = {{"method", std::string(method)},
                                         {"endpoint", std::string(request.endpoint)},
                                         {"status", std::to_string(request.status)}};
      series = {.count = &requests_.Add(labels),
                .seconds = &request_seconds_.Add(labels, request_buckets())};
      request_series_.emplace(
          std::tuple(std::string(method), std::string(request.endpoint), request.status), series);
    }
  }
  series.count->Increment();
  series.seconds->Observe(Seconds(request.took).count());
}

void Metrics::key_refused(KeyRefusal why) {
  const char* const reason = why == KeyRefusal::kMissing ? "missing" : "invalid";
  auth_failures_.Add({{"auth_type", "api_key"}, {"reason", reason}}).Increment();
}

// --- jobs ----------------------------------------------------------------------------------------
std::string Metrics::tenant_label(std::string_view tenant) {
  const std::lock_guard lock(mutex_);
  return tenants_.of(tenant);
}

std::string Metrics::class_label(std::string_view weight_class) {
  const std::lock_guard lock(mutex_);
  return classes_.of(weight_class);
}

void Metrics::job_submitted(std::string_view tenant, std::string_view weight_class) {
  submitted_.Add({{"validator", tenant_label(tenant)}, {"weight_class", class_label(weight_class)}})
      .Increment();
}

void Metrics::job_waited(std::string_view weight_class, Duration waited) {
  wait_seconds_.Add({{"weight_class", class_label(weight_class)}}, wait_buckets())
      .Observe(seconds_of(waited));
}

void Metrics::job_phase_ended(std::string_view phase, std::string_view weight_class,
                              Duration took) {
  phase_seconds_
      .Add({{"phase", std::string(phase)}, {"weight_class", class_label(weight_class)}},
           phase_buckets())
      .Observe(seconds_of(took));
}

void Metrics::job_ended(std::string_view status, std::string_view weight_class,
                        std::string_view tenant, std::optional<Duration> took) {
  completed_
      .Add({{"status", std::string(status)},
            {"weight_class", class_label(weight_class)},
            {"validator", tenant_label(tenant)}})
      .Increment();
  if (took) job_phase_ended(kWholeJob, weight_class, *took);
}

// --- the page ------------------------------------------------------------------------------------
void Metrics::add_queue(const Readings& readings, std::vector<MetricFamily>& page) {
  std::map<std::tuple<std::string, std::string>, std::uint64_t> depths;
  for (const QueueReading& queue : readings.queue) {
    depths[{std::to_string(queue.priority), classes_.of(queue.weight_class)}] += queue.jobs;
  }
  for (const auto& [key, jobs] : depths) queues_seen_.insert(key);
  FamilyBuilder family("sandbox_queue_depth", "Jobs that wait.", MetricType::Gauge);
  for (const auto& [priority, weight_class] : queues_seen_) {
    family.add({{"priority", priority}, {"weight_class", weight_class}},
               depths[{priority, weight_class}]);
  }
  std::move(family).put(page);
}

void Metrics::add_active(const Readings& readings, std::vector<MetricFamily>& page) {
  std::map<std::tuple<std::string, std::string>, std::uint64_t> active;
  for (const ActiveReading& one : readings.active) {
    active[{one.phase, classes_.of(one.weight_class)}] += one.jobs;
  }
  for (const auto& [key, jobs] : active) active_seen_.insert(key);
  FamilyBuilder family("sandbox_jobs_active", "Jobs that run, by what they do.", MetricType::Gauge);
  for (const auto& [phase, weight_class] : active_seen_) {
    family.add({{"phase", phase}, {"weight_class", weight_class}}, active[{phase, weight_class}]);
  }
  std::move(family).put(page);
}

std::string Metrics::text(const Readings& readings) {
  std::vector<MetricFamily> page = registry_->Collect();
  {
    const std::lock_guard lock(mutex_);
    add_queue(readings, page);
    add_active(readings, page);
  }
  add_gpus(readings.gpus, page);
  add_host(readings.host, page);
  add_runs(readings.runs, page);
  add_egress(readings.egress, page);
  return prometheus::TextSerializer().Serialize(page);
}

}  // namespace airlock::telemetry
