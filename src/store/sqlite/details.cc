#include "store/sqlite/details.h"

#include <algorithm>
#include <optional>
#include <string>

#include "model/egress_key.h"
#include "store/sqlite/job_codec.h"

namespace airlock::store::sqlite {
namespace {

constexpr std::string_view kMake = "INSERT OR IGNORE INTO job_details (seq) VALUES (?1)";
constexpr std::string_view kRead = "SELECT phases, egress FROM job_details WHERE seq = ?1";
constexpr std::string_view kWrite =
    "UPDATE job_details SET resolved_commit = coalesce(?1, resolved_commit), "
    "source_digest = coalesce(?2, source_digest), build_digest = coalesce(?3, build_digest), "
    "build_cached = coalesce(?4, build_cached), phases = coalesce(?5, phases), "
    "egress = coalesce(?6, egress), seal = coalesce(?7, seal), inputs = coalesce(?8, inputs), "
    "outputs = coalesce(?9, outputs) WHERE seq = ?10";

bool has_details(const JobChange& change) {
  return change.resolved_commit || change.source_digest || change.build_digest ||
         change.build_cached || !change.phases.empty() || !change.egress.empty() || change.seal ||
         change.inputs || change.outputs;
}

bool is_same(const model::PhaseRecord& a, const model::PhaseRecord& b) {
  return a.name == b.name && a.attempt == b.attempt;
}

bool is_same(const model::EgressEntry& a, const model::EgressEntry& b) {
  return model::egress_key(a) == model::egress_key(b);
}

base::Status check_count(std::string_view what, std::size_t count, std::size_t count_max) {
  if (count <= count_max) return {};
  return base::fail(base::ErrorCode::kLimitExceeded,
                    "more than " + std::to_string(count_max) + " " + std::string(what));
}

// The stored values with the given ones in their places or behind them.
template <typename Value>
base::Result<std::optional<std::string>> merged(std::string_view stored,
                                                const std::vector<Value>& given,
                                                std::string_view what, std::size_t count_max) {
  if (given.empty()) return std::nullopt;
  std::vector<Value> values;
  AIRLOCK_TRY(decode(stored, values).with_context(what));
  for (const Value& value : given) {
    const auto place =
        std::ranges::find_if(values, [&](const Value& known) { return is_same(known, value); });
    if (place != values.end()) {
      *place = value;
    } else {
      AIRLOCK_TRY(check_count(what, values.size() + 1, count_max));
      values.push_back(value);
    }
  }
  return encode(values);
}

std::optional<std::string> storable(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  return storable_text(*text, model::kJobNameBytesMax);
}

template <typename Value>
std::optional<std::string> encoded(const std::optional<Value>& value) {
  if (!value) return std::nullopt;
  return encode(*value);
}

struct Merged {
  std::optional<std::string> phases;
  std::optional<std::string> egress;
};

base::Result<Merged> merge(Database& database, std::int64_t seq, const JobChange& change) {
  Merged result;
  if (change.phases.empty() && change.egress.empty()) return result;
  AIRLOCK_ASSIGN(Statement row, database.query(kRead, seq));
  AIRLOCK_TRY(row.step());
  AIRLOCK_ASSIGN(result.phases, merged(row.text(0), change.phases, "phases", kPhasesMax));
  AIRLOCK_ASSIGN(result.egress, merged(row.text(1), change.egress, "egress entries", kEgressMax));
  return result;
}

}  // namespace

base::Status change_details(Database& database, std::int64_t seq, const JobChange& change) {
  if (!has_details(change)) return {};
  if (change.inputs) AIRLOCK_TRY(check_count("inputs", change.inputs->size(), kArtifactsMax));
  if (change.outputs) AIRLOCK_TRY(check_count("outputs", change.outputs->size(), kArtifactsMax));
  AIRLOCK_TRY(database.run(kMake, seq));
  AIRLOCK_ASSIGN(const Merged merged, merge(database, seq, change));
  const auto commit = storable(change.resolved_commit);
  const auto source = storable(change.source_digest);
  const auto build = storable(change.build_digest);
  const auto seal = encoded(change.seal);
  const auto inputs = encoded(change.inputs);
  const auto outputs = encoded(change.outputs);
  return database.run(kWrite, commit, source, build, change.build_cached, merged.phases,
                      merged.egress, seal, inputs, outputs, seq);
}

}  // namespace airlock::store::sqlite
