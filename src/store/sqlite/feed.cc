#include "store/sqlite/write_context.h"

namespace airlock::store::sqlite {
namespace {

// Old changes go in steps: each costs a little, and none of them much.
constexpr std::uint64_t kDropStep = 256;

constexpr std::string_view kAppend =
    "INSERT INTO changes (at, job_id, owner, state, phase, progress, cancel_requested, reason) "
    "SELECT ?1, id, owner, state, phase, progress, cancel_requested, ?2 FROM jobs WHERE seq = ?3";
constexpr std::string_view kDrop = "DELETE FROM changes WHERE seq <= ?1";

}  // namespace

base::Status append_change(WriteContext& context, std::int64_t seq, std::string_view reason) {
  AIRLOCK_TRY(context.database.run(kAppend, micros(context.now), reason, seq));
  context.last_change = static_cast<std::uint64_t>(context.database.last_row_id());
  if (context.last_change % kDropStep == 0 && context.last_change > context.changes_kept) {
    AIRLOCK_TRY(context.database.run(kDrop, context.last_change - context.changes_kept));
  }
  return {};
}

}  // namespace airlock::store::sqlite
