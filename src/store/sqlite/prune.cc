#include "store/sqlite/prune.h"

#include <utility>

namespace airlock::store::sqlite {
namespace {

constexpr std::string_view kCountEnded =
    "SELECT sum(jobs) FROM job_totals "
    "WHERE state IN ('completed', 'failed', 'timeout', 'cancelled')";
constexpr std::string_view kOldestEnded =
    "SELECT seq, id, completed_at FROM jobs INDEXED BY jobs_by_end "
    "WHERE completed_at IS NOT NULL ORDER BY completed_at, seq LIMIT ?1";
constexpr std::string_view kDeleteJob = "DELETE FROM jobs WHERE seq = ?1";
constexpr std::string_view kDeleteSpec = "DELETE FROM job_specs WHERE seq = ?1";
constexpr std::string_view kDeleteDetails = "DELETE FROM job_details WHERE seq = ?1";

struct Ended {
  std::int64_t seq = 0;
  std::string id;
};

// One more than kPruneMax, if there are.
base::Result<std::vector<Ended>> find_ended(WriteContext& context, const PruneRequest& request) {
  AIRLOCK_ASSIGN(const auto ended, context.database.find_integer(kCountEnded));
  std::uint64_t left = static_cast<std::uint64_t>(ended.value_or(0));
  AIRLOCK_ASSIGN(Statement rows, context.database.query(kOldestEnded, kPruneMax + 1));
  std::vector<Ended> result;
  while (true) {
    AIRLOCK_ASSIGN(const bool found, rows.step());
    if (!found) return result;
    const bool too_old = request.ended_before && rows.integer(2) < micros(*request.ended_before);
    const bool too_many = request.keep_at_most && left > *request.keep_at_most;
    if (!too_old && !too_many) return result;
    result.push_back({.seq = rows.integer(0), .id = rows.text(1)});
    --left;
  }
}

}  // namespace

base::Result<Pruned> prune(WriteContext& context, const PruneRequest& request) {
  AIRLOCK_ASSIGN(std::vector<Ended> ended, find_ended(context, request));
  Pruned result;
  result.more = ended.size() > kPruneMax;
  if (result.more) ended.resize(kPruneMax);
  for (Ended& job : ended) {
    AIRLOCK_TRY(context.database.run(kDeleteJob, job.seq));
    AIRLOCK_TRY(context.database.run(kDeleteSpec, job.seq));
    AIRLOCK_TRY(context.database.run(kDeleteDetails, job.seq));
    result.ids.push_back(std::move(job.id));
  }
  return result;
}

}  // namespace airlock::store::sqlite
