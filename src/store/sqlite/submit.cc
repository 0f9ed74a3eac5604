#include "store/sqlite/submit.h"

#include <optional>

#include "base/utf8.h"
#include "store/sqlite/job_codec.h"

namespace airlock::store::sqlite {
namespace {

constexpr std::size_t kIdRandomBytes = 6;
// Two of a million ids collide once in hundreds of stores; eight times in a row nothing does.
constexpr int kIdTries = 8;

constexpr std::string_view kFindKey =
    "SELECT j.seq, j.id, j.state, j.submitted_at, s.spec FROM jobs AS j INDEXED BY jobs_by_key "
    "JOIN job_specs AS s ON s.seq = j.seq WHERE j.owner = ?1 AND j.idempotency_key = ?2";
constexpr std::string_view kForgetKey = "UPDATE jobs SET idempotency_key = NULL WHERE seq = ?1";
constexpr std::string_view kCountWaiting = "SELECT jobs FROM job_totals WHERE state = 'pending'";
constexpr std::string_view kInsert =
    "INSERT INTO jobs (id, owner, idempotency_key, submitted_at, repo_url, validator_hotkey, "
    "miner_hotkey, weight_class, priority, queue_key, cpu_millis, memory_bytes, disk_bytes, "
    "prep_ms, inference_ms) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
constexpr std::string_view kInsertSpec = "INSERT INTO job_specs (seq, spec) VALUES (?1, ?2)";

base::Status check_name(std::string_view what, std::string_view name) {
  if (name.size() > model::kJobNameBytesMax) {
    return base::fail(
        base::ErrorCode::kInvalidArgument,
        std::string(what) + " has more than " + std::to_string(model::kJobNameBytesMax) + " bytes");
  }
  if (storable_text(name, name.size()) != name) {
    return base::fail(base::ErrorCode::kInvalidArgument, std::string(what) + " is no UTF-8");
  }
  return {};
}

base::Result<std::string> checked_spec(const Submission& submission) {
  AIRLOCK_TRY(check_name("owner", submission.owner));
  AIRLOCK_TRY(check_name("idempotency key", submission.idempotency_key));
  AIRLOCK_TRY(is_storable(submission.spec));
  if (submission.spec.priority > model::kPriorityMax) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "priority is above " + std::to_string(model::kPriorityMax));
  }
  std::string spec = encode(submission.spec);
  if (spec.size() > kSpecBytesMax.count()) {
    return base::fail(
        base::ErrorCode::kInvalidArgument,
        "the job's specification is larger than " + base::format_byte_count(kSpecBytesMax));
  }
  return spec;
}

// The job that the key brought, if that was not too long ago.
base::Result<std::optional<Submitted>> find_replayed(WriteContext& context,
                                                     const Submission& submission,
                                                     std::string_view spec) {
  AIRLOCK_ASSIGN(Statement found,
                 context.database.query(kFindKey, submission.owner, submission.idempotency_key));
  AIRLOCK_ASSIGN(const bool is_known, found.step());
  if (!is_known) return std::nullopt;
  const std::int64_t age = micros(context.now) - found.integer(3);
  if (age > context.idempotency_age.count()) {
    AIRLOCK_TRY(context.database.run(kForgetKey, found.integer(0)));
    return std::nullopt;
  }
  // An older version may have written other members: only what it reads as counts.
  model::JobSpec known;
  AIRLOCK_TRY(decode(found.text(4), known).with_context(found.text(1)));
  if (encode(known) != spec) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "the idempotency key \"" + submission.idempotency_key +
                          "\" was used for another job, " + found.text(1),
                      "Use a new key for a new job; the same key only to send the same job again.");
  }
  const auto state = model::find_job_state(found.text(2));
  return Submitted{
      .id = found.text(1), .state = state.value_or(model::JobState::kPending), .replayed = true};
}

template <typename Optional>
std::optional<std::int64_t> count_of(const Optional& value) {
  if (!value.has_value()) return std::nullopt;
  return static_cast<std::int64_t>(value->count());
}

base::Result<std::string> insert_job(WriteContext& context, const Submission& submission) {
  const model::JobSpec& spec = submission.spec;
  const std::int64_t now = micros(context.now);
  const std::int64_t queue_key =
      now - static_cast<std::int64_t>(spec.priority) * context.priority_step.count();
  const auto key = submission.idempotency_key.empty()
                       ? std::nullopt
                       : std::optional<std::string_view>(submission.idempotency_key);
  const std::string weight_class = spec.weight_class.to_string();
  for (int tries = 1;; ++tries) {
    std::string id = "job_" + base::make_hex(kIdRandomBytes, context.random);
    const base::Status inserted =
        context.database.run(kInsert, id, submission.owner, key, now, spec.repo_url,
                             spec.validator_hotkey, spec.miner_hotkey, weight_class, spec.priority,
                             queue_key, spec.cpu_millis, count_of(spec.memory), count_of(spec.disk),
                             count_of(spec.prep_timeout), count_of(spec.inference_timeout));
    if (inserted) return id;
    if (!context.database.is_duplicate() || tries == kIdTries) {
      return base::fail(inserted.error());
    }
  }
}

}  // namespace

base::Result<Submitted> submit(WriteContext& context, const Submission& submission) {
  AIRLOCK_ASSIGN(const std::string spec, checked_spec(submission));
  if (!submission.idempotency_key.empty()) {
    AIRLOCK_ASSIGN(auto replayed, find_replayed(context, submission, spec));
    if (replayed) return *replayed;
  }
  AIRLOCK_ASSIGN(const auto waiting, context.database.find_integer(kCountWaiting));
  AIRLOCK_ASSIGN(std::string id, insert_job(context, submission));
  const std::int64_t seq = context.database.last_row_id();
  AIRLOCK_TRY(context.database.run(kInsertSpec, seq, spec));
  AIRLOCK_TRY(append_change(context, seq));
  return Submitted{.id = std::move(id),
                   .waiting_before = static_cast<std::uint64_t>(waiting.value_or(0))};
}

}  // namespace airlock::store::sqlite
