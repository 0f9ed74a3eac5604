// bench-store: what the store of jobs costs, beside SQLite used plainly.
//
//   bench-store --mode submit --folder F --count N [--clients C]   durable submits, C at once
//   bench-store --mode plain  --folder F --count N                 N INSERTs, a transaction each
//   bench-store --mode claim  --folder F --count N --queued Q      N claims from Q waiting jobs
//   bench-store --mode look   --folder F --count N --queued Q      N looks at the heads of it
//   bench-store --mode group  --folder F --count N --queued Q      N claims asked for at once
//   bench-store --mode list   --folder F --count N --queued Q      N pages of one owner's jobs
//
// F is an empty folder, or, without --queued, one that another run has filled. A sample is the time
// from the call to its answer, which comes after the commit is on disk. Of `group` there is one
// sample, all of it. Prints what bench/measuring.h says.
#include <sqlite3.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "bench/measuring.h"
#include "store/blocking.h"
#include "store/sqlite/database.h"
#include "store/sqlite/sqlite_job_store.h"

namespace airlock::bench {
namespace {

using store::JobStore;
using store::wait_for;

struct Options {
  std::string mode;
  std::string folder;
  int count = 0;
  int clients = 64;
  int queued = 0;
};

model::JobSpec make_spec() {
  model::JobSpec spec;
  spec.repo_url = "https://github.com/someone/something";
  spec.repo_commit = std::string(40, 'c');
  spec.weight_class = {.gpus = 1, .gpu_type = "H200"};
  spec.input_uri = "s3://bucket/inputs/0001";
  spec.output_uri = "s3://bucket/outputs/0001";
  spec.validator_hotkey = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
  spec.miner_hotkey = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
  spec.env = {{"MODEL", "small"}, {"BATCH", "16"}};
  return spec;
}

struct Worker {
  Samples kept;
  const Samples& samples() const { return kept; }
};

int print(Worker worker, double wall_s) {
  print_samples("bench-store", std::vector{std::move(worker)}, wall_s);
  return 0;
}

int complain(const base::Error& error) {
  std::fprintf(stderr, "bench-store: %s\n", error.to_string().c_str());
  return 1;
}

// --- submits -------------------------------------------------------------------------------------
// One client: its next submit follows the answer of the one before.
struct Client {
  JobStore* store = nullptr;
  int left = 0;
  Worker worker;
  Clock::time_point start;
  std::counting_semaphore<>* over = nullptr;

  void next() {
    if (left-- == 0) return over->release();
    start = Clock::now();
    store->submit({make_spec(), "owner", {}}, [this](base::Result<store::Submitted> submitted) {
      worker.kept.add(Clock::now() - start);
      if (!submitted) worker.kept.fail(submitted.error().to_string());
      next();
    });
  }
};

int measure_submits(JobStore& store, const Options& options) {
  std::vector<Client> clients(static_cast<std::size_t>(options.clients));
  std::counting_semaphore<> over(0);
  const auto start = Clock::now();
  for (Client& client : clients) {
    client.store = &store;
    client.left = options.count / options.clients;
    client.over = &over;
    client.next();
  }
  for (std::size_t i = 0; i < clients.size(); ++i) over.acquire();
  const double wall_s = microseconds(Clock::now() - start) / 1e6;
  std::vector<Worker> workers;
  for (Client& client : clients) workers.push_back(std::move(client.worker));
  print_samples("bench-store", workers, wall_s);
  return 0;
}

base::Status insert_plainly(const Options& options, Worker& worker) {
  const std::string path = options.folder + "/plain.db";
  std::fclose(std::fopen(path.c_str(), "ae"));
  AIRLOCK_ASSIGN(auto database, store::sqlite::Database::open(path, std::chrono::seconds(5)));
  AIRLOCK_TRY(database->run_script(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
      "CREATE TABLE plain (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, body TEXT) STRICT"));
  base::SystemRandom random;
  const std::string body(600, 'x');
  for (int i = 0; i < options.count; ++i) {
    const std::string id = base::make_hex(6, random);
    const auto start = Clock::now();
    AIRLOCK_TRY(database->run("INSERT INTO plain (id, body) VALUES (?1, ?2)", id, body));
    worker.kept.add(Clock::now() - start);
  }
  return {};
}

// --- a queue -------------------------------------------------------------------------------------
// Jobs of 50 owners in four classes, as the store itself writes them, but in one transaction.
constexpr std::string_view kFill =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
    "INSERT INTO jobs (id, owner, submitted_at, repo_url, validator_hotkey, miner_hotkey, "
    "weight_class, priority, queue_key) "
    "SELECT 'job_' || lower(hex(randomblob(6))), 'owner' || (i % 50), 1000000 + i, "
    "'https://github.com/someone/something', 'validator' || (i % 50), 'miner' || (i % 1000), "
    "(1 << (i % 4)) || 'xH200', i % 11, 1000000 + i - (i % 11) * 600000000 FROM n";
constexpr std::string_view kFillSpecs =
    "INSERT INTO job_specs (seq, spec) SELECT seq, "
    "'{\"repo_url\":\"https://github.com/someone/something\",\"gpus\":1,\"gpu_type\":\"H200\"}' "
    "FROM jobs";

base::Status fill(const Options& options) {
  if (options.queued == 0) return {};
  AIRLOCK_ASSIGN(auto database, store::sqlite::Database::open(options.folder + "/jobs.db",
                                                              std::chrono::seconds(5)));
  AIRLOCK_TRY(database->run_script("PRAGMA cache_size = -262144; BEGIN IMMEDIATE"));
  AIRLOCK_TRY(database->run(kFill, options.queued));
  AIRLOCK_TRY(database->run(kFillSpecs));
  return database->run_script("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
}

// As many as 1,000 jobs fill, so that an answer is of the same length from any queue.
constexpr std::size_t kPerQueue = 8;
constexpr std::size_t kPage = 20;

base::Result<std::vector<std::string>> heads(JobStore& store) {
  AIRLOCK_ASSIGN(const store::WaitingJobs waiting,
                 wait_for(&JobStore::waiting, store, {.per_queue = kPerQueue, .after = {}}));
  std::vector<std::string> ids;
  for (const store::WaitingJob& job : waiting.jobs) ids.push_back(job.id);
  return ids;
}

// What a scheduler does for one start: it looks at the heads of all queues and claims one of them.
base::Status claim_one(JobStore& store) {
  AIRLOCK_ASSIGN(const std::vector<std::string> ids, heads(store));
  AIRLOCK_TRY(wait_for(&JobStore::claim, store, {ids.at(ids.size() / 2), "runner", {}}));
  return {};
}

base::Status list_one(JobStore& store) {
  store::JobFilter filter;
  filter.owner = "owner7";
  filter.limit = kPage;
  AIRLOCK_TRY(wait_for(&JobStore::list, store, filter));
  return {};
}

base::Status claim_group(JobStore& store, const Options& options) {
  AIRLOCK_ASSIGN(std::vector<std::string> ids, heads(store));
  ids.resize(std::min(ids.size(), static_cast<std::size_t>(options.count)));
  std::counting_semaphore<> over(0);
  std::atomic<int> failed{0};
  for (const std::string& id : ids) {
    store.claim({id, "runner", {}}, [&](base::Result<model::JobRecord> job) {
      if (!job) ++failed;
      over.release();
    });
  }
  for (std::size_t i = 0; i < ids.size(); ++i) over.acquire();
  if (failed == 0) return {};
  return base::fail(base::ErrorCode::kBusy, std::to_string(failed) + " claims failed");
}

base::Status do_once(JobStore& store, const Options& options) {
  if (options.mode == "claim") return claim_one(store);
  if (options.mode == "list") return list_one(store);
  if (options.mode == "group") return claim_group(store, options);
  AIRLOCK_TRY(heads(store));
  return {};
}

int measure_queue(JobStore& store, const Options& options) {
  constexpr int kWarmup = 5;
  Worker worker;
  const int count = options.mode == "group" ? 1 : options.count;
  const auto begin = Clock::now();
  for (int i = options.mode == "group" ? 0 : -kWarmup; i < count; ++i) {
    const auto start = Clock::now();
    if (const base::Status done = do_once(store, options); !done) {
      worker.kept.fail(done.error().to_string());
    }
    if (i >= 0) worker.kept.add(Clock::now() - start);
  }
  return print(std::move(worker), microseconds(Clock::now() - begin) / 1e6);
}

int measure(const Options& options) {
  if (options.mode == "plain") {
    Worker worker;
    const auto start = Clock::now();
    if (const base::Status status = insert_plainly(options, worker); !status) {
      return complain(status.error());
    }
    return print(std::move(worker), microseconds(Clock::now() - start) / 1e6);
  }
  const base::SystemClock clock;
  base::SystemRandom random;
  auto opened = store::sqlite::open_store({.folder = options.folder}, clock, random);
  if (!opened) return complain(opened.error());
  if (options.mode == "submit") return measure_submits(**opened, options);
  if (const base::Status filled = fill(options); !filled) return complain(filled.error());
  return measure_queue(**opened, options);
}

}  // namespace
}  // namespace airlock::bench

int main(int argc, char** argv) {
  airlock::bench::Options options;
  const bool is_known =
      airlock::bench::parse_options({argv + 1, argv + argc}, {{"--mode", &options.mode},
                                                              {"--folder", &options.folder},
                                                              {"--count", &options.count},
                                                              {"--clients", &options.clients},
                                                              {"--queued", &options.queued}});
  if (!is_known || options.folder.empty() || options.count < 1 || options.clients < 1) {
    std::fputs(
        "usage: bench-store --mode submit|plain|claim|look|group|list --folder FOLDER\n"
        "                   --count N [--clients C] [--queued Q]\n",
        stderr);
    return 2;
  }
  return airlock::bench::measure(options);
}
