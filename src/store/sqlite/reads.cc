#include "store/sqlite/reads.h"

#include <algorithm>

#include "store/sqlite/job_rows.h"

namespace airlock::store::sqlite {
namespace {

constexpr std::string_view kCountAll = "SELECT state, jobs FROM job_totals";
constexpr std::string_view kCountOwner = "SELECT state, jobs FROM job_counts WHERE owner = ?1";
constexpr std::string_view kUnfinished =
    "SELECT seq FROM jobs INDEXED BY jobs_running "
    "WHERE state IN ('cloning', 'building', 'prep', 'inference') AND runner_id = ?1 "
    "ORDER BY seq LIMIT ?2";
constexpr std::string_view kUnfinishedOfAll =
    "SELECT seq FROM jobs INDEXED BY jobs_running "
    "WHERE state IN ('cloning', 'building', 'prep', 'inference') ORDER BY seq LIMIT ?1";
constexpr std::string_view kChanges =
    "SELECT seq, at, job_id, owner, state, phase, progress, cancel_requested, reason "
    "FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2";
constexpr std::string_view kChangesOfOwner =
    "SELECT seq, at, job_id, owner, state, phase, progress, cancel_requested, reason "
    "FROM changes INDEXED BY changes_by_owner WHERE owner = ?3 AND seq > ?1 ORDER BY seq LIMIT ?2";
constexpr std::string_view kFirstChange = "SELECT min(seq) FROM changes";
constexpr std::string_view kLastChange = "SELECT max(seq) FROM changes";
constexpr std::string_view kFindRunner =
    "SELECT id, receipt_hash, first_seen, last_seen FROM runners WHERE id = ?1";

model::WallTime time_of(std::int64_t since) {
  return model::WallTime(std::chrono::microseconds(since));
}

base::Result<ChangeEvent> read_change(const Statement& row) {
  const auto state = model::find_job_state(row.text(4));
  if (!state) return base::fail(base::ErrorCode::kIo, "a change has an unknown state");
  return ChangeEvent{.sequence = static_cast<std::uint64_t>(row.integer(0)),
                     .at = time_of(row.integer(1)),
                     .job_id = row.text(2),
                     .owner = row.text(3),
                     .state = *state,
                     .phase = row.text(5),
                     .progress = row.real(6),
                     .cancel_requested = row.integer(7) != 0,
                     .reason = row.text(8)};
}

base::Result<std::vector<std::int64_t>> integers(Statement rows) {
  std::vector<std::int64_t> values;
  while (true) {
    AIRLOCK_ASSIGN(const bool found, rows.step());
    if (!found) return values;
    values.push_back(rows.integer(0));
  }
}

}  // namespace

base::Result<JobCounts> count(Database& database, const std::optional<std::string>& owner) {
  AIRLOCK_ASSIGN(Statement rows,
                 owner ? database.query(kCountOwner, *owner) : database.query(kCountAll));
  JobCounts counts{};
  while (true) {
    AIRLOCK_ASSIGN(const bool found, rows.step());
    if (!found) return counts;
    if (const auto state = model::find_job_state(rows.text(0))) {
      counts[static_cast<std::size_t>(*state)] = static_cast<std::uint64_t>(rows.integer(1));
    }
  }
}

base::Result<std::vector<model::JobRecord>> unfinished(Database& database,
                                                       const std::string& runner_id) {
  AIRLOCK_ASSIGN(const Snapshot snapshot, Snapshot::begin(database));
  AIRLOCK_ASSIGN(Statement rows, runner_id.empty()
                                     ? database.query(kUnfinishedOfAll, kUnfinishedMax)
                                     : database.query(kUnfinished, runner_id, kUnfinishedMax));
  AIRLOCK_ASSIGN(const std::vector<std::int64_t> seqs, integers(std::move(rows)));
  std::vector<model::JobRecord> jobs;
  jobs.reserve(seqs.size());
  for (const std::int64_t seq : seqs) {
    AIRLOCK_ASSIGN(auto job, read_job(database, seq));
    if (job) jobs.push_back(std::move(*job));
  }
  return jobs;
}

base::Result<ChangesPage> changes_since(Database& database, const ChangesRequest& request) {
  const std::size_t limit = std::clamp<std::size_t>(request.limit, 1, kChangesMax);
  AIRLOCK_ASSIGN(const Snapshot snapshot, Snapshot::begin(database));
  AIRLOCK_ASSIGN(const auto first, database.find_integer(kFirstChange));
  AIRLOCK_ASSIGN(const auto last, database.find_integer(kLastChange));
  ChangesPage page;
  page.lost = first && request.since + 1 < static_cast<std::uint64_t>(*first);
  AIRLOCK_ASSIGN(Statement rows, request.owner ? database.query(kChangesOfOwner, request.since,
                                                                limit, *request.owner)
                                               : database.query(kChanges, request.since, limit));
  while (true) {
    AIRLOCK_ASSIGN(const bool found, rows.step());
    if (!found) break;
    AIRLOCK_ASSIGN(ChangeEvent change,
                   read_change(rows).with_context(database.path() + ": changes"));
    page.changes.push_back(std::move(change));
  }
  page.last = page.changes.size() == limit ? page.changes.back().sequence
                                           : static_cast<std::uint64_t>(last.value_or(0));
  return page;
}

base::Result<std::optional<RunnerRecord>> find_runner(Database& database, const std::string& id) {
  AIRLOCK_ASSIGN(Statement row, database.query(kFindRunner, id));
  AIRLOCK_ASSIGN(const bool found, row.step());
  if (!found) return std::nullopt;
  return RunnerRecord{.id = row.text(0),
                      .receipt_hash = row.text(1),
                      .first_seen = time_of(row.integer(2)),
                      .last_seen = time_of(row.integer(3))};
}

}  // namespace airlock::store::sqlite
