#include "http/verdict_json.h"

#include <chrono>
#include <optional>
#include <utility>

#include "http/json_text.h"
#include "http/text_encoding.h"

namespace airlock::http {
namespace {

double milliseconds(std::chrono::microseconds duration) {
  return static_cast<double>(duration.count()) / 1000.0;
}

template <typename T, typename Number>
boost::json::value number_or_null(const std::optional<T>& value, Number number) {
  if (!value) return nullptr;
  return boost::json::value(number(*value));
}

}  // namespace

boost::json::object outcome_json(const model::Outcome& outcome) {
  boost::json::object object;
  object["outcome"] = model::outcome_name(outcome.kind);
  object["exit_code"] = number_or_null(outcome.exit_code, [](int code) { return code; });
  object["signal"] = outcome.signal ? boost::json::value(model::signal_name(*outcome.signal))
                                    : boost::json::value(nullptr);
  object["detail"] = text_or_null(outcome.detail);
  return object;
}

boost::json::array limits_hit_json(const model::Outcome& outcome) {
  boost::json::array limits;
  for (const model::LimitKind kind : outcome.limits_hit) {
    limits.emplace_back(model::limit_name(kind));
  }
  return limits;
}

boost::json::object usage_json(const model::Usage& usage) {
  return {{"wall_ms", milliseconds(usage.wall)},
          {"user_ms", milliseconds(usage.user)},
          {"system_ms", milliseconds(usage.system)},
          {"memory_peak_bytes",
           number_or_null(usage.memory_peak, [](base::ByteCount bytes) { return bytes.count(); })},
          {"pids_peak", number_or_null(usage.pids_peak, [](std::uint32_t pids) { return pids; })}};
}

boost::json::object isolation_json(const model::Isolation& isolation) {
  boost::json::array missing;
  for (const std::string& name : isolation.missing) missing.emplace_back(name);
  boost::json::object object = {
      {"backend", isolation.backend},   {"level", model::isolation_level_name(isolation.level)},
      {"tier", isolation.tier},         {"cgroup", model::cgroup_version_name(isolation.cgroup)},
      {"network", isolation.network},   {"seccomp", isolation.seccomp},
      {"rootless", isolation.rootless}, {"missing", std::move(missing)}};
  if (!isolation.image.empty()) object["image"] = isolation.image;
  if (!isolation.fallback_from.empty()) {
    object["fallback"] = {{"from", isolation.fallback_from},
                          {"reason", printable_utf8(isolation.fallback_reason)}};
  }
  return object;
}

boost::json::array denied_json(const std::vector<model::Denial>& denials) {
  boost::json::array array;
  for (const model::Denial& denial : denials) {
    array.push_back({{"what", printable_utf8(denial.what)},
                     {"rule", printable_utf8(denial.rule)},
                     {"fix", printable_utf8(denial.fix)}});
  }
  return array;
}

boost::json::array egress_json(const std::vector<model::EgressEntry>& entries,
                               EgressPhases phases) {
  boost::json::array array;
  for (const model::EgressEntry& entry : entries) {
    boost::json::object object;
    if (phases == EgressPhases::kShown) object["phase"] = entry.phase;
    object["host"] = printable_utf8(entry.host);
    object["port"] = entry.port;
    object["allowed"] = entry.allowed;
    object["reason"] = text_or_null(entry.reason);
    object["connections"] = entry.connections;
    object["bytes_in"] = entry.bytes_in;
    object["bytes_out"] = entry.bytes_out;
    array.push_back(std::move(object));
  }
  return array;
}

}  // namespace airlock::http
