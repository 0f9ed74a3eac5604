// Metrics: everything that this service tells a Prometheus, and the text of it.
//
// What happens is counted here when it happens, by the functions below; what can be looked at
// (Readings) is passed to text() by whoever knows it. Callers say what happened; names and labels
// of series are in this folder only. Text that others choose is bounded and made printable
// (label_values.h). Counts begin at zero with each start of the service. Any thread; nothing blocks
// for longer than a page takes to be put together.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "telemetry/label_values.h"
#include "telemetry/readings.h"

namespace prometheus {
class Counter;
class Histogram;
class Registry;
template <typename T>
class Family;
struct MetricFamily;
}  // namespace prometheus

namespace airlock::telemetry {

// Told apart at most; beyond that they are counted together.
inline constexpr std::size_t kTenantsMax = 128;
inline constexpr std::size_t kWeightClassesMax = 32;

// What text() is.
inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

struct AnsweredRequest {
  std::string_view method;
  std::string_view endpoint;  // the pattern of its route; never what the client wrote
  int status = 0;
  std::chrono::nanoseconds took{0};
};

// Why a request was not taken for one of somebody who may ask.
enum class KeyRefusal { kMissing, kInvalid };

class Metrics {
 public:
  using Duration = std::chrono::microseconds;

  explicit Metrics(std::string_view version);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void request_answered(const AnsweredRequest& request);
  // What never became a request: malformed, late, or without room.
  void request_unread(int status);
  void key_refused(KeyRefusal why);

  // `tenant` is whose job it is.
  void job_submitted(std::string_view tenant, std::string_view weight_class);
  // From its submission to its first attempt.
  void job_waited(std::string_view weight_class, Duration waited);
  void job_phase_ended(std::string_view phase, std::string_view weight_class, Duration took);
  // `took`: from its start to its end; none if it never started.
  void job_ended(std::string_view status, std::string_view weight_class, std::string_view tenant,
                 std::optional<Duration> took);

  // The page, in Prometheus's text format.
  std::string text(const Readings& readings);

 private:
  struct RequestSeries {
    prometheus::Counter* count = nullptr;
    prometheus::Histogram* seconds = nullptr;
  };
  using Counters = prometheus::Family<prometheus::Counter>;
  using Histograms = prometheus::Family<prometheus::Histogram>;

  void count_request(std::string_view method, const AnsweredRequest& request);
  std::string tenant_label(std::string_view tenant);
  std::string class_label(std::string_view weight_class);
  void add_queue(const Readings& readings, std::vector<prometheus::MetricFamily>& page);
  void add_active(const Readings& readings, std::vector<prometheus::MetricFamily>& page);

  const std::unique_ptr<prometheus::Registry> registry_;
  Counters& submitted_;
  Counters& completed_;
  Counters& requests_;
  Counters& auth_failures_;
  Histograms& phase_seconds_;
  Histograms& wait_seconds_;
  Histograms& request_seconds_;

  std::mutex mutex_;  // of all below
  std::map<std::tuple<std::string, std::string, int>, RequestSeries, std::less<>> request_series_;
  BoundedValues tenants_{kTenantsMax};
  BoundedValues classes_{kWeightClassesMax};
  // What was shown once is shown as 0 when there is none: a series that goes away is no answer.
  std::set<std::tuple<std::string, std::string>> queues_seen_;  // priority, weight class
  std::set<std::tuple<std::string, std::string>> active_seen_;  // phase, weight class
};

}  // namespace airlock::telemetry
