#include "store/sqlite/waiting.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace airlock::store::sqlite {

namespace {

// Two seeks, each with one range: what follows in the class, then the next class.
constexpr std::string_view kNextOwnerSql =
    "SELECT owner FROM jobs INDEXED BY jobs_queue "
    "WHERE state = 'pending' AND weight_class = ?1 AND owner > ?2 "
    "ORDER BY weight_class, owner LIMIT 1";
constexpr std::string_view kNextClassSql =
    "SELECT weight_class, owner FROM jobs INDEXED BY jobs_queue "
    "WHERE state = 'pending' AND weight_class > ?1 ORDER BY weight_class, owner LIMIT 1";
constexpr std::string_view kHeadOfQueueSql =
    "SELECT id, owner, weight_class, priority, submitted_at, attempts, cpu_millis, memory_bytes, "
    "disk_bytes, prep_ms, inference_ms FROM jobs INDEXED BY jobs_queue "
    "WHERE state = 'pending' AND weight_class = ?1 AND owner = ?2 "
    "ORDER BY queue_key, seq LIMIT ?3";

struct Queue {
  std::string weight_class;
  std::string owner;
};

base::Result<std::optional<Queue>> next_queue(Database& database, const Queue& last) {
  {
    AIRLOCK_ASSIGN(Statement row, database.query(kNextOwnerSql, last.weight_class, last.owner));
    AIRLOCK_ASSIGN(const bool found, row.step());
    if (found) return Queue{last.weight_class, row.text(0)};
  }
  AIRLOCK_ASSIGN(Statement row, database.query(kNextClassSql, last.weight_class));
  AIRLOCK_ASSIGN(const bool found, row.step());
  if (!found) return std::nullopt;
  return Queue{row.text(0), row.text(1)};
}

// A class has no line feed in it, an owner may have.
std::string make_cursor(const Queue& queue) { return queue.weight_class + "\n" + queue.owner; }

base::Result<Queue> parse_cursor(const std::string& text) {
  if (text.empty()) return Queue{};
  const std::size_t end = text.find('\n');
  if (end == std::string::npos) {
    return base::fail(base::ErrorCode::kInvalidArgument, "no place among the queues");
  }
  return Queue{text.substr(0, end), text.substr(end + 1)};
}

struct Queues {
  std::vector<Queue> queues;
  std::string next;
};

base::Result<Queues> find_queues(Database& database, const std::string& after) {
  Queues result;
  AIRLOCK_ASSIGN(Queue last, parse_cursor(after));
  while (result.queues.size() < kWaitingQueuesMax) {
    AIRLOCK_ASSIGN(auto queue, next_queue(database, last));
    if (!queue) return result;
    last = *queue;
    result.queues.push_back(std::move(*queue));
  }
  result.next = make_cursor(last);
  return result;
}

std::optional<base::ByteCount> bytes_of(std::optional<std::int64_t> bytes) {
  if (!bytes) return std::nullopt;
  return base::ByteCount(static_cast<std::uint64_t>(*bytes));
}

std::optional<std::chrono::milliseconds> millis_of(std::optional<std::int64_t> count) {
  if (!count) return std::nullopt;
  return std::chrono::milliseconds(*count);
}

base::Result<WaitingJob> read_waiting(const Statement& row) {
  WaitingJob job;
  job.id = row.text(0);
  job.owner = row.text(1);
  AIRLOCK_ASSIGN(job.weight_class, model::parse_weight_class(row.text(2)));
  job.priority = static_cast<std::uint32_t>(row.integer(3));
  job.submitted_at = model::WallTime(std::chrono::microseconds(row.integer(4)));
  job.attempts = static_cast<std::uint32_t>(row.integer(5));
  if (const auto millis = row.optional_integer(6)) {
    job.cpu_millis = static_cast<std::uint32_t>(*millis);
  }
  job.memory = bytes_of(row.optional_integer(7));
  job.disk = bytes_of(row.optional_integer(8));
  job.prep_timeout = millis_of(row.optional_integer(9));
  job.inference_timeout = millis_of(row.optional_integer(10));
  return job;
}

base::Status read_head(Database& database, const Queue& queue, std::size_t count,
                       std::vector<WaitingJob>& jobs) {
  AIRLOCK_ASSIGN(Statement rows,
                 database.query(kHeadOfQueueSql, queue.weight_class, queue.owner, count));
  while (true) {
    AIRLOCK_ASSIGN(const bool found, rows.step());
    if (!found) return {};
    AIRLOCK_ASSIGN(WaitingJob job,
                   read_waiting(rows).with_context(database.path() + ": " + rows.text(0)));
    jobs.push_back(std::move(job));
  }
}

}  // namespace

base::Result<WaitingJobs> waiting(Database& database, const WaitingRequest& request) {
  AIRLOCK_ASSIGN(const Snapshot snapshot, Snapshot::begin(database));
  AIRLOCK_ASSIGN(Queues found, find_queues(database, request.after));
  WaitingJobs result{.jobs = {}, .next = std::move(found.next)};
  if (found.queues.empty()) return result;
  const std::size_t share = kWaitingMax / found.queues.size();
  const std::size_t count = std::clamp<std::size_t>(request.per_queue, 1, share);
  for (const Queue& queue : found.queues) {
    AIRLOCK_TRY(read_head(database, queue, count, result.jobs));
  }
  return result;
}

}  // namespace airlock::store::sqlite
