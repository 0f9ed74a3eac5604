#include "store/sqlite/sqlite_job_store.h"

#include <exception>
#include <utility>
#include <vector>

#include "store/sqlite/claims.h"
#include "store/sqlite/instance_lock.h"
#include "store/sqlite/job_rows.h"
#include "store/sqlite/listing.h"
#include "store/sqlite/prune.h"
#include "store/sqlite/readers.h"
#include "store/sqlite/reads.h"
#include "store/sqlite/state_files.h"
#include "store/sqlite/submit.h"
#include "store/sqlite/waiting.h"
#include "store/sqlite/writer.h"

namespace airlock::store::sqlite {
namespace {

constexpr std::size_t kReaderThreads = 2;
constexpr std::string_view kLastTime = "SELECT at FROM changes ORDER BY seq DESC LIMIT 1";
constexpr std::string_view kFindHost = "SELECT runner_id FROM host";
constexpr std::string_view kMakeHost = "INSERT INTO host (only_row, runner_id) VALUES (1, ?1)";

class SqliteJobStore final : public JobStore {
 public:
  SqliteJobStore(InstanceLock lock, std::string runner_id, std::unique_ptr<Writer> writer,
                 std::unique_ptr<Readers> readers)
      : lock_(std::move(lock)),
        runner_id_(std::move(runner_id)),
        writer_(std::move(writer)),
        readers_(std::move(readers)) {}

  // Both are there until neither answers any more: an answer of one may ask the other.
  ~SqliteJobStore() override {
    writer_->refuse_more();
    readers_->refuse_more();
    writer_->finish();
    readers_->finish();
  }

  const std::string& runner_id() const override { return runner_id_; }

  void submit(Submission submission, Done<Submitted> done) override {
    write<Submitted>(std::move(done), [submission = std::move(submission)](WriteContext& context) {
      return sqlite::submit(context, submission);
    });
  }
  void claim(ClaimRequest request, Done<model::JobRecord> done) override {
    write<model::JobRecord>(std::move(done), [request = std::move(request)](WriteContext& context) {
      return sqlite::claim(context, request);
    });
  }
  void update(JobClaim claim, JobChange change, Done<JobHead> done) override {
    write<JobHead>(std::move(done),
                   [claim = std::move(claim), change = std::move(change)](WriteContext& context) {
                     return sqlite::update(context, claim, change);
                   });
  }
  void release(JobClaim claim, std::string reason, Done<JobHead> done) override {
    write<JobHead>(std::move(done),
                   [claim = std::move(claim), reason = std::move(reason)](WriteContext& context) {
                     return sqlite::release(context, claim, reason);
                   });
  }
  void request_cancel(std::string id, Done<JobHead> done) override {
    write<JobHead>(std::move(done), [id = std::move(id)](WriteContext& context) {
      return sqlite::request_cancel(context, id);
    });
  }
  void prune(PruneRequest request, Done<Pruned> done) override {
    write<Pruned>(std::move(done),
                  [request](WriteContext& context) { return sqlite::prune(context, request); });
  }
  void find(std::string id, Done<std::optional<model::JobRecord>> done) override {
    read<std::optional<model::JobRecord>>(
        std::move(done),
        [id = std::move(id)](Database& database) { return find_job(database, id); });
  }
  void list(JobFilter filter, Done<JobPage> done) override {
    read<JobPage>(std::move(done), [filter = std::move(filter)](Database& database) {
      return sqlite::list(database, filter);
    });
  }
  void count(std::optional<std::string> owner, Done<JobCounts> done) override {
    read<JobCounts>(std::move(done), [owner = std::move(owner)](Database& database) {
      return sqlite::count(database, owner);
    });
  }
  void waiting(WaitingRequest request, Done<WaitingJobs> done) override {
    read<WaitingJobs>(std::move(done), [request = std::move(request)](Database& database) {
      return sqlite::waiting(database, request);
    });
  }
  void unfinished(std::string runner_id, Done<std::vector<model::JobRecord>> done) override {
    read<std::vector<model::JobRecord>>(std::move(done),
                                        [runner_id = std::move(runner_id)](Database& database) {
                                          return sqlite::unfinished(database, runner_id);
                                        });
  }
  void changes_since(ChangesRequest request, Done<ChangesPage> done) override {
    read<ChangesPage>(std::move(done), [request = std::move(request)](Database& database) {
      return sqlite::changes_since(database, request);
    });
  }
  void find_runner(std::string id, Done<std::optional<RunnerRecord>> done) override {
    read<std::optional<RunnerRecord>>(std::move(done), [id = std::move(id)](Database& database) {
      return sqlite::find_runner(database, id);
    });
  }
  void on_change(std::function<void(std::uint64_t)> listener) override {
    writer_->on_change(std::move(listener));
  }

 private:
  template <typename T, typename Body>
  void write(Done<T> done, Body body) {
    // One for both functions, which the writer calls one after the other.
    struct Call {
      Body body;
      Done<T> done;
      base::Result<T> result = base::fail(base::ErrorCode::kIo, "not made");
    };
    auto call = std::make_shared<Call>(Call{.body = std::move(body), .done = std::move(done)});
    base::Status taken = writer_->try_push({.apply = [call](WriteContext& context) -> base::Status {
                                              call->result = call->body(context);
                                              if (!call->result)
                                                return base::fail(call->result.error());
                                              return {};
                                            },
                                            .answer =
                                                [call](const base::Status& group) {
                                                  if (!group)
                                                    call->result = base::fail(group.error());
                                                  call->done(std::move(call->result));
                                                }});
    if (!taken) call->done(base::fail(std::move(taken).error()));
  }

  template <typename T, typename Body>
  void read(Done<T> done, Body body) {
    auto shared_done = std::make_shared<Done<T>>(std::move(done));
    base::Status taken =
        readers_->try_push([shared_done, body = std::move(body)](Database& database) {
          (*shared_done)(answer_of<T>(body, database));
        });
    if (!taken) (*shared_done)(base::fail(std::move(taken).error()));
  }

  template <typename T, typename Body>
  static base::Result<T> answer_of(const Body& body, Database& database) {
    try {
      return body(database);
    } catch (const std::exception& exception) {  // No memory for what was asked.
      return base::fail(base::ErrorCode::kUnavailable, database.path() + ": " + exception.what());
    }
  }

  // The lock is let go of last of all.
  InstanceLock lock_;
  std::string runner_id_;
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<Readers> readers_;
};

base::Result<std::string> find_or_make_host(Database& database, base::RandomSource& random) {
  {
    AIRLOCK_ASSIGN(Statement row, database.prepare(kFindHost));
    AIRLOCK_ASSIGN(const bool found, row.step());
    if (found) return row.text(0);
  }
  std::string runner_id = base::make_id("runner", random);
  AIRLOCK_TRY(database.run(kMakeHost, runner_id));
  return runner_id;
}

}  // namespace

base::Result<std::unique_ptr<JobStore>> open_store(const StoreOptions& options,
                                                   const base::Clock& clock,
                                                   base::RandomSource& random) {
  AIRLOCK_TRY(make_folder(options.folder));
  AIRLOCK_ASSIGN(InstanceLock lock, InstanceLock::acquire(options.folder));
  AIRLOCK_ASSIGN(auto writing, open_for_writing(options.folder, options.busy_timeout));
  AIRLOCK_ASSIGN(std::string runner_id, find_or_make_host(*writing, random));
  AIRLOCK_ASSIGN(const auto last_time, writing->find_integer(kLastTime));
  std::vector<std::unique_ptr<Database>> reading(kReaderThreads);
  for (auto& database : reading) {
    AIRLOCK_ASSIGN(database, open_for_reading(options.folder, options.busy_timeout));
  }
  const WriterOptions writer_options{
      .idempotency_age = options.idempotency_age,
      .priority_step = options.priority_step,
      .changes_kept = options.changes_kept,
      .not_before = model::WallTime(std::chrono::microseconds(last_time.value_or(0)))};
  auto writer = std::make_unique<Writer>(std::move(writing), writer_options, clock, random);
  auto readers = std::make_unique<Readers>(std::move(reading));
  return std::make_unique<SqliteJobStore>(std::move(lock), std::move(runner_id), std::move(writer),
                                          std::move(readers));
}

}  // namespace airlock::store::sqlite
