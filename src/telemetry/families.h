// Families: the series of a page that are read and not counted, as Prometheus's library has them.
//
// Names, help and labels of these series are in families.cc and nowhere else. Pure functions; what
// is not known is left out, a family without series, too.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "telemetry/readings.h"

namespace airlock::telemetry {

using Labels = std::initializer_list<std::pair<const char*, std::string>>;

class FamilyBuilder {
 public:
  FamilyBuilder(const char* name, const char* help, prometheus::MetricType type);

  void add(Labels labels, double value);
  void add(Labels labels, std::uint64_t value) { add(labels, static_cast<double>(value)); }
  void add(Labels labels, const Durations& durations);
  // Without any series it is left out: its absence says that there is nothing to tell.
  void put(std::vector<prometheus::MetricFamily>& page) &&;

 private:
  prometheus::ClientMetric& append(Labels labels);

  prometheus::MetricFamily family_;
};

void add_runs(const RunReading& runs, std::vector<prometheus::MetricFamily>& page);
void add_egress(const EgressReading& egress, std::vector<prometheus::MetricFamily>& page);
void add_gpus(const std::vector<GpuReading>& gpus, std::vector<prometheus::MetricFamily>& page);
void add_host(const HostReading& host, std::vector<prometheus::MetricFamily>& page);

}  // namespace airlock::telemetry
