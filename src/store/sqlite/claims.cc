#include "store/sqlite/claims.h"

#include <optional>

#include "store/sqlite/details.h"
#include "store/sqlite/job_codec.h"
#include "store/sqlite/job_rows.h"
#include "store/transitions.h"

namespace airlock::store::sqlite {
namespace {

using model::JobState;

constexpr std::string_view kFindHead =
    "SELECT seq, state, runner_id, fencing_token, cancel_requested FROM jobs WHERE id = ?1";
constexpr std::string_view kClaim =
    "UPDATE jobs SET state = 'cloning', runner_id = ?1, gpus = ?2, started_at = ?3, "
    "attempts = attempts + 1, fencing_token = fencing_token + 1, phase = '', progress = 0 "
    "WHERE seq = ?4";
constexpr std::string_view kSeeRunner =
    "INSERT INTO runners (id, first_seen, last_seen) VALUES (?1, ?2, ?2) "
    "ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen";
// Without the state: what no index has in it, so that progress costs one row.
constexpr std::string_view kUpdate =
    "UPDATE jobs SET phase = coalesce(?1, phase), progress = coalesce(?2, progress), "
    "error_code = coalesce(?3, error_code), error_message = coalesce(?4, error_message), "
    "gpus = coalesce(?5, gpus), has_receipt = has_receipt OR ?6 WHERE seq = ?7";
constexpr std::string_view kSetState = "UPDATE jobs SET state = ?1 WHERE seq = ?2";
constexpr std::string_view kEnd = "UPDATE jobs SET state = ?1, completed_at = ?2 WHERE seq = ?3";
constexpr std::string_view kRelease =
    "UPDATE jobs SET state = 'pending', runner_id = '', gpus = '[]', started_at = NULL, "
    "phase = '', progress = 0 WHERE seq = ?1";
constexpr std::string_view kWantCancelled = "UPDATE jobs SET cancel_requested = 1 WHERE seq = ?1";
constexpr std::string_view kFindReceipt = "SELECT receipt_hash FROM runners WHERE id = ?1";
constexpr std::string_view kSetReceipt = "UPDATE runners SET receipt_hash = ?1 WHERE id = ?2";

struct Head {
  std::int64_t seq = 0;
  JobState state = JobState::kPending;
  std::string runner_id;
  std::uint64_t fencing_token = 0;
  bool cancel_requested = false;
};

std::string shown_id(const std::string& id) { return storable_text(id, model::kJobNameBytesMax); }

base::Result<Head> find_head(Database& database, const std::string& id) {
  AIRLOCK_ASSIGN(Statement row, database.query(kFindHead, id));
  AIRLOCK_ASSIGN(const bool found, row.step());
  if (!found) return base::fail(base::ErrorCode::kNotFound, "Job not found: " + shown_id(id));
  const auto state = model::find_job_state(row.text(1));
  if (!state) {
    return base::fail(base::ErrorCode::kIo,
                      database.path() + ": " + id + " is in an unknown state");
  }
  return Head{.seq = row.integer(0),
              .state = *state,
              .runner_id = row.text(2),
              .fencing_token = static_cast<std::uint64_t>(row.integer(3)),
              .cancel_requested = row.integer(4) != 0};
}

base::Result<Head> find_claimed(Database& database, const JobClaim& claim) {
  AIRLOCK_ASSIGN(Head head, find_head(database, claim.id));
  if (is_running(head.state) && head.fencing_token == claim.fencing_token) return head;
  std::string holder =
      is_running(head.state)
          ? head.runner_id + " holds it with token " + std::to_string(head.fencing_token)
          : "it is " + std::string(model::job_state_name(head.state));
  return base::fail(base::ErrorCode::kPermissionDenied, claim.id + " is not held with token " +
                                                            std::to_string(claim.fencing_token) +
                                                            " any more: " + holder);
}

base::Status set_state(WriteContext& context, const Head& head, JobState state) {
  const std::string_view name = model::job_state_name(state);
  if (model::is_terminal(state)) {
    return context.database.run(kEnd, name, micros(context.now), head.seq);
  }
  return context.database.run(kSetState, name, head.seq);
}

// The runner of the head, whose claim made its row.
base::Status link_receipt(WriteContext& context, const Head& head, const ReceiptLink& link) {
  AIRLOCK_ASSIGN(Statement row, context.database.query(kFindReceipt, head.runner_id));
  AIRLOCK_ASSIGN(const bool found, row.step());
  if (const std::string last = found ? row.text(0) : std::string(); last != link.previous) {
    return base::fail(base::ErrorCode::kBusy,
                      "the last receipt of " + head.runner_id + " is \"" + last + "\", not \"" +
                          storable_text(link.previous, model::kJobNameBytesMax) + "\"",
                      "Another job ended meanwhile: link the receipt to that of this job.");
  }
  return context.database.run(kSetReceipt, link.hash, head.runner_id);
}

base::Status refuse(std::string message) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::move(message));
}

base::Status check_change(const Head& head, const JobClaim& claim, const JobChange& change) {
  const JobState state = change.state.value_or(head.state);
  if (state == JobState::kPending) return refuse(claim.id + ": a claim is given back by release");
  if (state != head.state && !is_allowed(head.state, state)) {
    return refuse(claim.id + " cannot become " + std::string(model::job_state_name(state)) +
                  ": it is " + std::string(model::job_state_name(head.state)));
  }
  if (change.receipt && !model::is_terminal(state)) {
    return refuse(claim.id + ": only a job that ends has a receipt");
  }
  if (change.receipt &&
      (change.receipt->hash.empty() || change.receipt->hash.size() > model::kJobNameBytesMax)) {
    return refuse(claim.id + ": the hash of a receipt has 1 to " +
                  std::to_string(model::kJobNameBytesMax) + " bytes");
  }
  if (change.progress && !(*change.progress >= 0 && *change.progress <= 100)) {
    return refuse(claim.id + ": progress is not from 0 to 100");
  }
  return {};
}

std::optional<std::string> storable(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  return storable_text(*text, kTextBytesMax);
}

}  // namespace

base::Result<model::JobRecord> claim(WriteContext& context, const ClaimRequest& request) {
  if (request.runner_id.empty() || request.runner_id.size() > model::kJobNameBytesMax) {
    return base::fail(
        base::ErrorCode::kInvalidArgument,
        "a runner's id has 1 to " + std::to_string(model::kJobNameBytesMax) + " bytes");
  }
  AIRLOCK_ASSIGN(const Head head, find_head(context.database, request.id));
  if (head.state != JobState::kPending) {
    return base::fail(base::ErrorCode::kBusy, request.id + " does not wait: it is " +
                                                  std::string(model::job_state_name(head.state)));
  }
  const std::int64_t now = micros(context.now);
  const std::string gpus = encode(request.gpus);
  AIRLOCK_TRY(context.database.run(kClaim, request.runner_id, gpus, now, head.seq));
  AIRLOCK_TRY(context.database.run(kSeeRunner, request.runner_id, now));
  AIRLOCK_TRY(append_change(context, head.seq));
  AIRLOCK_ASSIGN(auto record, find_job(context.database, request.id));
  return std::move(*record);
}

base::Result<JobHead> update(WriteContext& context, const JobClaim& claim,
                             const JobChange& change) {
  AIRLOCK_ASSIGN(const Head head, find_claimed(context.database, claim));
  AIRLOCK_TRY(check_change(head, claim, change));
  const auto phase = storable(change.phase);
  const auto error_code = storable(change.error_code);
  const auto error_message = storable(change.error_message);
  const auto gpus = change.gpus ? std::optional(encode(*change.gpus)) : std::nullopt;
  AIRLOCK_TRY(context.database.run(kUpdate, phase, change.progress, error_code, error_message, gpus,
                                   change.receipt.has_value(), head.seq));
  AIRLOCK_TRY(change_details(context.database, head.seq, change).with_context(claim.id));
  if (change.receipt) AIRLOCK_TRY(link_receipt(context, head, *change.receipt));
  const JobState state = change.state.value_or(head.state);
  if (state != head.state) AIRLOCK_TRY(set_state(context, head, state));
  AIRLOCK_TRY(append_change(context, head.seq));
  return JobHead{.state = state, .cancel_requested = head.cancel_requested};
}

base::Result<JobHead> release(WriteContext& context, const JobClaim& claim,
                              const std::string& reason) {
  AIRLOCK_ASSIGN(const Head head, find_claimed(context.database, claim));
  const JobState state = head.cancel_requested ? JobState::kCancelled : JobState::kPending;
  if (state == JobState::kCancelled) {
    AIRLOCK_TRY(set_state(context, head, state));
  } else {
    AIRLOCK_TRY(context.database.run(kRelease, head.seq));
  }
  AIRLOCK_TRY(append_change(context, head.seq, storable_text(reason, kTextBytesMax)));
  return JobHead{.state = state, .cancel_requested = head.cancel_requested};
}

base::Result<JobHead> request_cancel(WriteContext& context, const std::string& id) {
  AIRLOCK_ASSIGN(const Head head, find_head(context.database, id));
  if (model::is_terminal(head.state) || head.cancel_requested) {
    return JobHead{.state = head.state, .cancel_requested = head.cancel_requested};
  }
  AIRLOCK_TRY(context.database.run(kWantCancelled, head.seq));
  const bool waits = head.state == JobState::kPending;
  if (waits) AIRLOCK_TRY(set_state(context, head, JobState::kCancelled));
  AIRLOCK_TRY(append_change(context, head.seq));
  return JobHead{.state = waits ? JobState::kCancelled : head.state, .cancel_requested = true};
}

}  // namespace airlock::store::sqlite
