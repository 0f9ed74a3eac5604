#include "store/sqlite/job_rows.h"

#include "store/sqlite/job_codec.h"

namespace airlock::store::sqlite {
namespace {

constexpr std::string_view kFindSeq = "SELECT seq FROM jobs WHERE id = ?1";
constexpr std::string_view kReadJob =
    "SELECT j.id, j.owner, j.state, j.phase, j.progress, j.error_code, j.error_message, "
    "j.cancel_requested, j.submitted_at, j.started_at, j.completed_at, j.attempts, j.runner_id, "
    "j.fencing_token, j.has_receipt, j.gpus, s.spec "
    "FROM jobs AS j JOIN job_specs AS s ON s.seq = j.seq WHERE j.seq = ?1";
constexpr std::string_view kReadDetails =
    "SELECT resolved_commit, source_digest, build_digest, build_cached, phases, egress, seal, "
    "inputs, outputs FROM job_details WHERE seq = ?1";

model::WallTime time_of(std::int64_t since) {
  return model::WallTime(std::chrono::microseconds(since));
}

std::optional<model::WallTime> time_of(std::optional<std::int64_t> since) {
  return since ? std::optional(time_of(*since)) : std::nullopt;
}

template <typename Value>
base::Status decode_column(const Statement& row, int column, std::string_view name, Value& value) {
  return decode(row.text(column), value).with_context(name);
}

base::Status fill_summary(const Statement& row, model::JobRecord& job) {
  job.id = row.text(0);
  job.owner = row.text(1);
  const auto state = model::find_job_state(row.text(2));
  if (!state) return base::fail(base::ErrorCode::kIo, "unknown state \"" + row.text(2) + "\"");
  job.state = *state;
  job.phase = row.text(3);
  job.progress = row.real(4);
  job.error_code = row.text(5);
  job.error_message = row.text(6);
  job.cancel_requested = row.integer(7) != 0;
  job.submitted_at = time_of(row.integer(8));
  job.started_at = time_of(row.optional_integer(9));
  job.completed_at = time_of(row.optional_integer(10));
  job.attempts = static_cast<std::uint32_t>(row.integer(11));
  job.runner_id = row.text(12);
  job.fencing_token = static_cast<std::uint64_t>(row.integer(13));
  job.has_receipt = row.integer(14) != 0;
  AIRLOCK_TRY(decode_column(row, 15, "gpus", job.gpus));
  return decode_column(row, 16, "spec", job.spec);
}

base::Status fill_details(const Statement& row, model::JobRecord& job) {
  job.resolved_commit = row.text(0);
  job.source_digest = row.text(1);
  job.build_digest = row.text(2);
  job.build_cached = row.integer(3) != 0;
  AIRLOCK_TRY(decode_column(row, 4, "phases", job.phases));
  AIRLOCK_TRY(decode_column(row, 5, "egress", job.egress));
  AIRLOCK_TRY(decode_column(row, 6, "seal", job.seal));
  AIRLOCK_TRY(decode_column(row, 7, "inputs", job.inputs));
  return decode_column(row, 8, "outputs", job.outputs);
}

}  // namespace

base::Result<std::optional<model::JobRecord>> read_summary(Database& database, std::int64_t seq) {
  AIRLOCK_ASSIGN(Statement row, database.query(kReadJob, seq));
  AIRLOCK_ASSIGN(const bool found, row.step());
  if (!found) return std::nullopt;
  model::JobRecord job;
  AIRLOCK_TRY(fill_summary(row, job).with_context(database.path() + ": " + row.text(0)));
  return job;
}

base::Result<std::optional<model::JobRecord>> read_job(Database& database, std::int64_t seq) {
  AIRLOCK_ASSIGN(std::optional<model::JobRecord> job, read_summary(database, seq));
  if (!job) return std::nullopt;
  AIRLOCK_ASSIGN(Statement row, database.query(kReadDetails, seq));
  AIRLOCK_ASSIGN(const bool has_details, row.step());
  if (has_details) {
    AIRLOCK_TRY(fill_details(row, *job).with_context(database.path() + ": " + job->id));
  }
  return job;
}

base::Result<std::optional<model::JobRecord>> find_job(Database& database, const std::string& id) {
  AIRLOCK_ASSIGN(const auto seq, database.find_integer(kFindSeq, id));
  if (!seq) return std::nullopt;
  return read_job(database, *seq);
}

}  // namespace airlock::store::sqlite
