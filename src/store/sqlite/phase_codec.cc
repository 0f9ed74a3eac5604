#include "store/sqlite/phase_codec.h"

#include <boost/json/array.hpp>

#include "store/sqlite/json_fields.h"
#include "store/sqlite/stored_json.h"

namespace airlock::store::sqlite {
namespace {

namespace json = boost::json;

// The enumerator up to `last` that `name_of` calls so.
template <typename Enum>
std::optional<Enum> find_name(std::string_view name, Enum last, std::string_view (*name_of)(Enum)) {
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (name_of(static_cast<Enum>(i)) == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

std::optional<model::OutcomeKind> find_outcome(std::string_view name) {
  return find_name(name, model::OutcomeKind::kCancelled, model::outcome_name);
}

std::optional<model::LimitKind> find_limit(std::string_view name) {
  return find_name(name, model::LimitKind::kFiles, model::limit_name);
}

std::optional<model::CgroupVersion> find_cgroup(std::string_view name) {
  return find_name(name, model::CgroupVersion::kHybrid, model::cgroup_version_name);
}

base::Status decode_text(const json::value& value, std::string& text) {
  const json::string* const found = value.if_string();
  if (found == nullptr) return base::fail(base::ErrorCode::kIo, "no text");
  text.assign(found->data(), found->size());
  return {};
}

json::object encode_outcome(const model::Outcome& outcome) {
  json::object object;
  put(object, "kind", model::outcome_name(outcome.kind));
  if (outcome.exit_code) object.emplace("exit_code", *outcome.exit_code);
  if (outcome.signal) object.emplace("signal", *outcome.signal);
  put(object, "detail", outcome.detail);
  json::array limits;
  for (const model::LimitKind limit : outcome.limits_hit) {
    limits.emplace_back(std::string(model::limit_name(limit)));
  }
  object.emplace("limits_hit", std::move(limits));
  return object;
}

base::Status decode_outcome(const json::value& value, model::Outcome& outcome) {
  JsonFields fields(value, "outcome");
  fields.read_name("kind", outcome.kind, find_outcome);
  fields.read("exit_code", outcome.exit_code);
  fields.read("signal", outcome.signal);
  fields.read("detail", outcome.detail);
  fields.read("limits_hit", outcome.limits_hit,
              [](const json::value& element, model::LimitKind& limit) -> base::Status {
                std::string name;
                AIRLOCK_TRY(decode_text(element, name));
                const auto found = find_limit(name);
                if (!found) return base::fail(base::ErrorCode::kIo, "unknown limit");
                limit = *found;
                return {};
              });
  return fields.status();
}

json::object encode_usage(const model::Usage& usage) {
  json::object object;
  object.emplace("wall_us", usage.wall.count());
  object.emplace("user_us", usage.user.count());
  object.emplace("system_us", usage.system.count());
  if (usage.memory_peak) object.emplace("memory_peak", usage.memory_peak->count());
  if (usage.pids_peak) object.emplace("pids_peak", *usage.pids_peak);
  return object;
}

base::Status decode_usage(const json::value& value, model::Usage& usage) {
  JsonFields fields(value, "usage");
  fields.read("wall_us", usage.wall);
  fields.read("user_us", usage.user);
  fields.read("system_us", usage.system);
  fields.read("memory_peak", usage.memory_peak);
  fields.read("pids_peak", usage.pids_peak);
  return fields.status();
}

json::object encode_isolation(const model::Isolation& isolation) {
  json::object object;
  put(object, "backend", isolation.backend);
  put(object, "level", model::isolation_level_name(isolation.level));
  put(object, "tier", isolation.tier);
  put(object, "cgroup", model::cgroup_version_name(isolation.cgroup));
  put(object, "network", isolation.network);
  put(object, "seccomp", isolation.seccomp);
  object.emplace("rootless", isolation.rootless);
  json::array missing;
  for (const std::string& name : isolation.missing) {
    missing.emplace_back(storable_text(name, kTextBytesMax));
  }
  object.emplace("missing", std::move(missing));
  if (!isolation.image.empty()) put(object, "image", isolation.image);
  if (!isolation.fallback_from.empty()) {
    put(object, "fallback_from", isolation.fallback_from);
    put(object, "fallback_reason", isolation.fallback_reason);
  }
  return object;
}

base::Status decode_isolation(const json::value& value, model::Isolation& isolation) {
  JsonFields fields(value, "isolation");
  fields.read("backend", isolation.backend);
  fields.read_name("level", isolation.level, model::find_isolation_level);
  fields.read("tier", isolation.tier);
  fields.read_name("cgroup", isolation.cgroup, find_cgroup);
  fields.read("network", isolation.network);
  fields.read("seccomp", isolation.seccomp);
  fields.read("rootless", isolation.rootless);
  fields.read("missing", isolation.missing, decode_text);
  if (fields.find("image") != nullptr) fields.read("image", isolation.image);
  if (fields.find("fallback_from") != nullptr) {
    fields.read("fallback_from", isolation.fallback_from);
    fields.read("fallback_reason", isolation.fallback_reason);
  }
  return fields.status();
}

json::object encode_denial(const model::Denial& denial) {
  json::object object;
  put(object, "what", denial.what);
  put(object, "rule", denial.rule);
  put(object, "fix", denial.fix);
  return object;
}

base::Status decode_denial(const json::value& value, model::Denial& denial) {
  JsonFields fields(value, "denied");
  fields.read("what", denial.what);
  fields.read("rule", denial.rule);
  fields.read("fix", denial.fix);
  return fields.status();
}

}  // namespace

json::object encode_phase(const model::PhaseRecord& phase) {
  json::object object;
  put(object, "name", phase.name);
  object.emplace("attempt", phase.attempt);
  put(object, "started_at", phase.started_at);
  if (phase.ended_at) put(object, "ended_at", *phase.ended_at);
  if (phase.outcome) object.emplace("outcome", encode_outcome(*phase.outcome));
  object.emplace("usage", encode_usage(phase.usage));
  object.emplace("isolation", encode_isolation(phase.isolation));
  json::array denied;
  for (const model::Denial& denial : phase.denied) denied.push_back(encode_denial(denial));
  object.emplace("denied", std::move(denied));
  object.emplace("log_bytes", phase.log_bytes);
  object.emplace("log_truncated", phase.log_truncated);
  return object;
}

base::Status decode_phase(const json::value& value, model::PhaseRecord& phase) {
  JsonFields fields(value, "phase");
  fields.read("name", phase.name);
  fields.read("attempt", phase.attempt);
  fields.read("started_at", phase.started_at);
  fields.read("ended_at", phase.ended_at);
  if (const json::value* const outcome = fields.find("outcome")) {
    AIRLOCK_TRY(decode_outcome(*outcome, phase.outcome.emplace()));
  }
  if (const json::value* const usage = fields.find("usage")) {
    AIRLOCK_TRY(decode_usage(*usage, phase.usage));
  }
  if (const json::value* const isolation = fields.find("isolation")) {
    AIRLOCK_TRY(decode_isolation(*isolation, phase.isolation));
  }
  fields.read("denied", phase.denied, decode_denial);
  fields.read("log_bytes", phase.log_bytes);
  fields.read("log_truncated", phase.log_truncated);
  return fields.status();
}

}  // namespace airlock::store::sqlite
