// Writer: the one thread that changes the database, and commits in groups.
//
// While one group is being written to disk, the next gathers: however many callers there are, each
// fsync carries all of them. Every operation is a savepoint: one that fails takes nothing
// of the others with it. Its answer comes after the commit of its group, or says why that failed.
// Operations are made in the order of try_push. `finish` makes and answers those that are there.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/sqlite/admission.h"
#include "store/sqlite/write_context.h"

namespace airlock::store::sqlite {

inline constexpr std::size_t kGroupMax = 512;  // operations of one commit

struct WriteOperation {
  std::function<base::Status(WriteContext&)> apply;
  // `group` is an error when nothing of the group was kept, whatever `apply` said.
  std::function<void(const base::Status& group)> answer;
};

struct WriterOptions {
  std::chrono::microseconds idempotency_age;
  std::chrono::microseconds priority_step;
  std::uint64_t changes_kept;
  model::WallTime not_before;  // the store's time starts here, should the clock be behind
};

class Writer {
 public:
  Writer(std::unique_ptr<Database> database, const WriterOptions& options, const base::Clock& clock,
         base::RandomSource& random);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer();

  // With an error nothing of it is called: too many wait (kBusy), or `refuse_more` was called
  // (kCancelled).
  base::Status try_push(WriteOperation operation);
  void refuse_more();
  // Refuses more, and waits for the rest. The destructor does so, too.
  void finish();
  void on_change(std::function<void(std::uint64_t)> listener);

 private:
  using Group = std::vector<WriteOperation>;
  void work();
  bool take(Group& group);
  void write(Group& group);
  base::Status commit(Group& group);
  base::Status apply(WriteOperation& operation);
  void tell_listener();

  std::unique_ptr<Database> database_;
  const base::Clock& clock_;
  WriteContext context_;

  std::mutex mutex_;
  std::condition_variable came_;
  Group queued_;
  Admission admission_ = Admission::kOpen;

  std::mutex listener_mutex_;
  std::function<void(std::uint64_t)> listener_;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace airlock::store::sqlite
