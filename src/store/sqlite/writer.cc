#include "store/sqlite/writer.h"

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

#include "base/crash_point.h"

namespace airlock::store::sqlite {

Writer::Writer(std::unique_ptr<Database> database, const WriterOptions& options,
               const base::Clock& clock, base::RandomSource& random)
    : database_(std::move(database)),
      clock_(clock),
      context_{.database = *database_,
               .random = random,
               .idempotency_age = options.idempotency_age,
               .priority_step = options.priority_step,
               .changes_kept = options.changes_kept,
               .now = options.not_before},
      thread_([this] { work(); }) {}

Writer::~Writer() { finish(); }

void Writer::refuse_more() {
  {
    const std::lock_guard lock(mutex_);
    admission_ = Admission::kClosed;
  }
  came_.notify_all();
}

void Writer::finish() {
  refuse_more();
  if (thread_.joinable()) thread_.join();
}

base::Status Writer::try_push(WriteOperation operation) {
  {
    const std::lock_guard lock(mutex_);
    AIRLOCK_TRY(admit(admission_, queued_.size()));
    queued_.push_back(std::move(operation));
  }
  came_.notify_one();
  return {};
}

void Writer::on_change(std::function<void(std::uint64_t)> listener) {
  const std::lock_guard lock(listener_mutex_);
  listener_ = std::move(listener);
}

void Writer::work() {
  Group group;
  while (take(group)) {
    write(group);
    group.clear();
  }
}

bool Writer::take(Group& group) {
  std::unique_lock lock(mutex_);
  came_.wait(lock, [this] { return admission_ == Admission::kClosed || !queued_.empty(); });
  if (queued_.empty()) return false;
  const auto count = static_cast<std::ptrdiff_t>(std::min(queued_.size(), kGroupMax));
  group.assign(std::move_iterator(queued_.begin()), std::move_iterator(queued_.begin() + count));
  queued_.erase(queued_.begin(), queued_.begin() + count);
  return true;
}

void Writer::write(Group& group) {
  const auto now = std::chrono::floor<std::chrono::microseconds>(clock_.wall_now());
  context_.now = std::max(context_.now, model::WallTime(now));
  context_.last_change = 0;
  base::Status committed = commit(group);
  if (!committed && database_->in_transaction()) {
    // A failure of this shows in the next BEGIN.
    static_cast<void>(database_->run("ROLLBACK").has_value());
  }
  base::crash_point("store_committed");
  for (WriteOperation& operation : group) {
    try {
      operation.answer(committed);
    } catch (const std::exception&) {  // The caller's own; the next one must have its answer.
    }
  }
  if (committed) tell_listener();
}

base::Status Writer::commit(Group& group) {
  AIRLOCK_TRY(database_->run("BEGIN IMMEDIATE"));
  for (WriteOperation& operation : group) {
    AIRLOCK_TRY(database_->run("SAVEPOINT operation"));
    if (base::Status applied = apply(operation); !applied) {
      // SQLite gave up all of the group, not only this one.
      if (!database_->in_transaction()) return base::fail(std::move(applied).error());
      AIRLOCK_TRY(database_->run("ROLLBACK TO operation"));
    }
    AIRLOCK_TRY(database_->run("RELEASE operation"));
  }
  base::crash_point("store_before_commit");
  return database_->run("COMMIT");
}

base::Status Writer::apply(WriteOperation& operation) {
  try {
    return operation.apply(context_);
  } catch (const std::exception& exception) {  // No memory: of the library, or of a JSON text.
    return base::fail(base::ErrorCode::kUnavailable, database_->path() + ": " + exception.what());
  }
}

void Writer::tell_listener() {
  if (context_.last_change == 0) return;
  const std::lock_guard lock(listener_mutex_);
  if (!listener_) return;
  try {
    listener_(context_.last_change);
  } catch (const std::exception&) {  // The caller's own; the next change will tell it again.
  }
}

}  // namespace airlock::store::sqlite
