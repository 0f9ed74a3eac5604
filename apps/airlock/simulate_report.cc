#include "apps/airlock/simulate_report.h"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <cmath>
#include <cstdio>
#include <vector>

#include "http/json_text.h"

namespace airlock::apps {
namespace {

using queue::Summary;
using queue::Waits;

constexpr std::size_t kColumnGap = 2;

std::string printed(const char* format, double value) {
  std::array<char, 64> text{};
  const int length = std::snprintf(text.data(), text.size(), format, value);
  return {text.data(), static_cast<std::size_t>(std::max(length, 0))};
}

std::string span_text(double seconds) {
  if (seconds < 60) return printed("%.1f s", seconds);
  if (seconds < 3'600) return printed("%.1f min", seconds / 60);
  if (seconds < 86'400) return printed("%.1f h", seconds / 3'600);
  return printed("%.1f d", seconds / 86'400);
}

std::string percent(double part) { return printed("%.1f %%", 100 * part); }

std::string class_name(std::uint32_t gpus) {
  return std::to_string(gpus) + (gpus == 1 ? " GPU" : " GPUs");
}

// Microseconds are as exact as the simulation is.
double rounded(double value) { return std::round(value * 1e6) / 1e6; }

boost::json::object waits_json(const Waits& waits) {
  return {{"wait_mean_seconds", rounded(waits.mean_seconds)},
          {"wait_p50_seconds", rounded(waits.p50_seconds)},
          {"wait_p99_seconds", rounded(waits.p99_seconds)},
          {"wait_max_seconds", rounded(waits.max_seconds)},
          {"jobs", waits.jobs}};
}

boost::json::object summary_json(const Summary& summary) {
  boost::json::object json = {
      {"utilization", rounded(summary.utilization)},
      {"makespan_seconds", rounded(summary.makespan_seconds)},
      {"makespan_lower_bound_seconds", rounded(summary.makespan_lower_bound_seconds)}};
  for (const auto& member : waits_json(summary.waits)) json.insert(member);
  boost::json::object classes;
  for (const auto& [gpus, waits] : summary.classes) {
    classes[std::to_string(gpus)] = waits_json(waits);
  }
  json["classes"] = std::move(classes);
  return json;
}

void add_head(boost::json::object& json, const SimulationHead& head) {
  json["gpus"] = head.gpus;
  json["estimate"] = head.estimate;
  json["seed"] = head.seed;
  if (head.trace.empty()) json["mix"] = rounded(head.load);
}

// The first column to the left, the others to the right, each as wide as its widest cell.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string blank(widths[i] - row[i].size(), ' ');
      if (i > 0) text += std::string(kColumnGap, ' ');
      text += i == 0 ? row[i] + blank : blank + row[i];
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
  }
  return text;
}

std::vector<std::string> waits_row(std::string name, const Waits& waits) {
  return {std::move(name),
          std::to_string(waits.jobs),
          span_text(waits.mean_seconds),
          span_text(waits.p50_seconds),
          span_text(waits.p99_seconds),
          span_text(waits.max_seconds)};
}

std::string one_text(const Simulated& one) {
  std::vector<std::vector<std::string>> rows = {{"WAITS", "JOBS", "MEAN", "P50", "P99", "MAX"}};
  rows.push_back(waits_row("all", one.summary.waits));
  for (const auto& [gpus, waits] : one.summary.classes) {
    rows.push_back(waits_row(class_name(gpus), waits));
  }
  return table(rows) + "\nutilization  " + percent(one.summary.utilization) + "\nmakespan     " +
         span_text(one.summary.makespan_seconds) + ", at least " +
         span_text(one.summary.makespan_lower_bound_seconds) + " with any policy\n";
}

std::string comparison_text(std::span<const Simulated> simulated) {
  std::vector<std::vector<std::string>> rows = {{"POLICY"}};
  for (const Simulated& one : simulated) rows[0].push_back(one.policy);
  const auto add = [&](const std::string& name, const auto& text_of) {
    rows.push_back({name});
    for (const Simulated& one : simulated) rows.back().push_back(text_of(one.summary));
  };
  add("utilization", [](const Summary& s) { return percent(s.utilization); });
  add("makespan", [](const Summary& s) { return span_text(s.makespan_seconds); });
  add("  at least", [](const Summary& s) { return span_text(s.makespan_lower_bound_seconds); });
  const auto add_waits = [&](const std::string& name, const auto& waits_of) {
    add(name + ": mean wait",
        [&](const Summary& s) { return span_text(waits_of(s).mean_seconds); });
    add("  p50", [&](const Summary& s) { return span_text(waits_of(s).p50_seconds); });
    add("  p99", [&](const Summary& s) { return span_text(waits_of(s).p99_seconds); });
    add("  max", [&](const Summary& s) { return span_text(waits_of(s).max_seconds); });
  };
  add_waits("all", [](const Summary& s) { return s.waits; });
  for (const auto& [gpus, waits] : simulated.front().summary.classes) {
    add_waits(class_name(gpus), [gpus](const Summary& s) { return s.classes.at(gpus); });
  }
  return table(rows);
}

}  // namespace

std::string simulation_json(const SimulationHead& head, std::span<const Simulated> simulated) {
  boost::json::object json;
  if (simulated.size() == 1) {
    json = summary_json(simulated.front().summary);
    json["policy"] = simulated.front().policy;
  } else {
    boost::json::object policies;
    for (const Simulated& one : simulated) policies[one.policy] = summary_json(one.summary);
    json["jobs"] = head.jobs;
    json["policies"] = std::move(policies);
  }
  add_head(json, head);
  return http::json_text(json);
}

std::string simulation_text(const SimulationHead& head, std::span<const Simulated> simulated) {
  std::string text = head.trace.empty() ? "a mix at " + percent(head.load) + " load, seed " +
                                              std::to_string(head.seed)
                                        : head.trace;
  text += ": " + std::to_string(head.jobs) + (head.jobs == 1 ? " job, " : " jobs, ") +
          class_name(head.gpus) + ", bounds: " + head.estimate;
  if (simulated.size() > 1) return text + "\n\n" + comparison_text(simulated);
  return text + ", policy " + simulated.front().policy + "\n\n" + one_text(simulated.front());
}

}  // namespace airlock::apps
