// JobApi: what can be asked of the jobs of this runner, whoever asks: HTTP now, nodes later.
//
// Calls with `done` never block and answer exactly once, on any thread, in which nothing may block.
// The others read small files and may take as long as a disk does: not for the server's thread.
// Safe from any thread. Text in logs, paths and errors may be a guest's: whoever shows it escapes
// it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "model/job.h"
#include "runner/jobs/job_log.h"
#include "store/job_store.h"

namespace airlock::runner {

struct JobSubmission {
  model::JobSpec spec;
  std::string owner;            // empty: there are no identities
  std::string idempotency_key;  // empty: none
};

struct JobSubmitted {
  model::JobRecord record;
  std::uint32_t position = 0;  // jobs before it in the queue
  std::optional<model::WallTime> estimated_start;
  bool replayed = false;
};

struct RunnerStatus {
  std::string runner_id;
  bool operational = true;
  std::uint32_t gpus_total = 0;
  std::uint32_t gpus_free = 0;
  std::string gpu_note;             // why there are none, or fewer than there could be
  std::vector<std::string> active;  // ids
  store::JobCounts counts{};
  std::string execution_mode = "direct";
  model::Resources total;
  model::Resources free;
};

struct JobOutput {
  base::UniqueFd content;  // a regular file, to be read from its beginning
  base::ByteCount size;
};

class JobApi {
 public:
  template <typename T>
  using Done = std::function<void(base::Result<T>)>;

  virtual ~JobApi() = default;

  // kInvalidArgument: it can never run here; kBusy: too many wait. Durable when it is answered.
  virtual void submit(JobSubmission submission, Done<JobSubmitted> done) = 0;
  virtual void find(std::string id, Done<std::optional<model::JobRecord>> done) = 0;
  virtual void list(store::JobFilter filter, Done<store::JobPage> done) = 0;
  // Ends it whatever it does. kNotFound: there is no such job. One that has ended stays as it is.
  virtual void cancel(std::string id, Done<store::JobHead> done) = 0;
  virtual void status(Done<RunnerStatus> done) = 0;
  virtual void changes_since(store::ChangesRequest request, Done<store::ChangesPage> done) = 0;

  // The steps that have written something, in the order of a job's life.
  virtual std::vector<std::string> log_steps(const std::string& id) = 0;
  virtual base::Result<LogPiece> read_log(const std::string& id, const std::string& step,
                                          std::uint64_t offset, std::size_t bytes_max) = 0;
  // `path` as in JobRecord::outputs.
  virtual base::Result<JobOutput> open_output(const std::string& id, const std::string& path) = 0;
  virtual base::Result<std::string> receipt(const std::string& id) = 0;
  // The public key that receipts of this runner are signed with, as PEM.
  virtual std::string receipt_key() = 0;
};

}  // namespace airlock::runner
