// JobService: the jobs of this runner, from their acceptance to their end.
//
// Accepted is durable: submit answers once the store has it. A thread of its own decides who starts
// next (queue/), leases what the job needs, claims it in the store and gives it a thread with a
// JobDriver. What is leased is what the drivers that live hold; GPUs by name. Every accepted job
// ends in exactly one terminal state, whatever dies meanwhile: `start` adopts what still runs, and
// gives what does not another attempt, or ends it as `runner_lost`.
//
// Destroying it lets go of what runs and ends nothing: the next service adopts it.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "queue/policy.h"
#include "queue/waiting_queue.h"
#include "runner/jobs/job_api.h"
#include "runner/jobs/job_control.h"
#include "runner/jobs/job_parts.h"
#include "runner/jobs/job_settings.h"

namespace airlock::runner {

class JobService final : public JobApi {
 public:
  JobService(JobParts parts, JobSettings settings);
  ~JobService() override;
  JobService(const JobService&) = delete;
  JobService& operator=(const JobService&) = delete;

  // Once, before anything else. Reads the whole queue; adopts or ends what ran before.
  base::Status start();
  // Nothing more is started; what runs is let go of. Blocks until no driver lives.
  void stop();

  void submit(JobSubmission submission, Done<JobSubmitted> done) override;
  void find(std::string id, Done<std::optional<model::JobRecord>> done) override;
  void list(store::JobFilter filter, Done<store::JobPage> done) override;
  void cancel(std::string id, Done<store::JobHead> done) override;
  void status(Done<RunnerStatus> done) override;
  void changes_since(store::ChangesRequest request, Done<store::ChangesPage> done) override;
  std::vector<std::string> log_steps(const std::string& id) override;
  base::Result<LogPiece> read_log(const std::string& id, const std::string& step,
                                  std::uint64_t offset, std::size_t bytes_max) override;
  base::Result<JobOutput> open_output(const std::string& id, const std::string& path) override;
  base::Result<std::string> receipt(const std::string& id) override;
  std::string receipt_key() override;
  // How many wait; takes no longer, however many that are.
  std::vector<queue::Depth> queue_depths() const;

 private:
  // A job that a thread drives.
  struct Active {
    queue::RunningJob running;
    JobControl control;
    std::jthread thread;
  };

  base::Status check(const model::JobSpec& spec) const;
  queue::WaitingJob waiting_job(const model::JobRecord& record, std::uint32_t host_gpus) const;
  queue::Host host();                              // with `mutex_` held
  std::vector<queue::RunningJob> running() const;  // with `mutex_` held
  JobSubmitted accepted(const model::JobSpec& spec, const store::Submitted& submitted);

  base::Status load_queue();
  base::Status reconcile();
  void reconcile_one(model::JobRecord record, bool alive);
  void schedule();  // the thread's loop
  void start_next();
  void start_job(const std::string& id);
  void drive(model::JobRecord record, queue::RunningJob running, bool adopt);
  void finished(const std::string& id);
  void take_back(const model::JobRecord& record, std::uint32_t host_gpus);
  bool can_tell(const std::string& id);  // whether a job is impossible
  void end_impossible(const queue::Impossible& impossible);
  bool still_waits(const std::string& id);
  void forget(const std::string& id);  // of the queue in memory
  void forget_cancelled(const std::string& id);
  void keep_house();
  void prune_history();
  void prune_builds();
  void sweep_files();

  JobParts parts_;
  const JobSettings settings_;
  std::unique_ptr<queue::Policy> policy_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool look_ = false;  // something has changed since the last decision
  queue::WaitingQueue waiting_;
  std::string reserved_;
  bool has_room_ = true;  // of the thread that decides
  std::map<std::string, std::unique_ptr<Active>> active_;
  std::vector<std::unique_ptr<Active>> ended_;  // whose threads are still to be joined
  std::jthread scheduler_;
};

}  // namespace airlock::runner
