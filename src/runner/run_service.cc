// Theory of operation: one mutex guards the queue and the counts; it is never held during a run or
// a callback. A job is in exactly one place: the queue, a worker's hands, or the list of those that
// end without having begun, which the attendant answers. Whoever takes it from the queue under the
// mutex decides which, so that `done` is called once.
#include "runner/run_service.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <stop_token>
#include <utility>

#include "base/check.h"
#include "base/crash_point.h"
#include "runner/cancel_control.h"

namespace airlock::runner {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint32_t kSlotsMin = 4;
constexpr std::uint32_t kSlotsPerProcessor = 2;

void count_duration(DurationCounts& counts, steady_clock::duration duration) {
  const auto us = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, duration_cast<std::chrono::microseconds>(duration).count()));
  const auto bucket = std::ranges::lower_bound(kDurationBucketsUs, us);
  ++counts.buckets[static_cast<std::size_t>(bucket - kDurationBucketsUs.begin())];
  counts.sum_us += us;
}

base::Error busy_error(const char* message) {
  return {base::ErrorCode::kBusy, 0, message, "come back later"};
}

}  // namespace

std::uint32_t count_slots(std::uint32_t asked) {
  if (asked != 0) return asked;
  return std::max(kSlotsMin, kSlotsPerProcessor * std::thread::hardware_concurrency());
}

class RunService::Job final : public RunTicket, public std::enable_shared_from_this<Job> {
 public:
  Job(std::shared_ptr<Core> owner, Submission given, steady_clock::time_point now)
      : core(std::move(owner)), submission(std::move(given)), submitted(now) {}
  void cancel() override;
  void kill() override;

  // Answers it; the only place that calls `done`. False if that threw.
  bool finish(base::Result<model::RunResult> result) {
    const auto done = std::exchange(submission.done, nullptr);
    AIRLOCK_CHECK(done != nullptr);
    bool told = true;
    try {
      done(std::move(result));
    } catch (...) {
      told = false;  // whoever wrote it has lost its result; others have not
    }
    submission = {};
    return told;
  }

  const std::shared_ptr<Core> core;
  Submission submission;
  CancelControl control;
  const steady_clock::time_point submitted;
};

class RunService::Core {
 public:
  Core(backend::Backend& backend, RunServiceOptions options, const base::Clock& clock)
      : backend_(backend), options_(options), clock_(clock) {
    stats_.slots = options.slots;
  }

  base::Status accept(const std::shared_ptr<Job>& job, WhenBusy when_busy);
  steady_clock::time_point now() const { return clock_.steady_now(); }
  // False: it does not wait (any more).
  bool call_off(const std::shared_ptr<Job>& job);
  void drain(milliseconds patience, void (CancelControl::*end)());
  RunServiceStats stats() const;

  // What threads do until they are stopped, which is when nothing is left to do.
  void work(const std::stop_token& stop);
  void attend(const std::stop_token& stop);

 private:
  struct Ended {
    std::shared_ptr<Job> job;
    base::Error error;
  };

  base::Result<model::RunResult> run_job(Job& job);
  void count_finished(const base::Result<model::RunResult>& result, steady_clock::duration took);
  void call_off_waiting();
  void expire_waiting();
  void answer_ended(std::unique_lock<std::mutex>& lock);
  bool is_idle() const { return waiting_.empty() && ended_.empty() && answering_ == 0; }

  backend::Backend& backend_;
  const RunServiceOptions options_;
  const base::Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable_any work_is_there_;   // for workers: waiting_ has one
  std::condition_variable_any ended_is_there_;  // for the attendant: ended_ or a first waiting_
  std::condition_variable idle_;                // for drain: nothing is left
  std::deque<std::shared_ptr<Job>> waiting_;
  std::vector<std::shared_ptr<Job>> running_;
  std::vector<Ended> ended_;
  std::uint32_t answering_ = 0;  // jobs that are in some thread's hands
  bool attendant_rests_ = false;
  bool draining_ = false;
  RunServiceStats stats_;
};

void RunService::Job::cancel() {
  if (!core->call_off(shared_from_this())) control.cancel();
}

void RunService::Job::kill() {
  if (!core->call_off(shared_from_this())) control.kill();
}

base::Status RunService::Core::accept(const std::shared_ptr<Job>& job, WhenBusy when_busy) {
  std::unique_lock lock(mutex_);
  if (draining_) {
    ++stats_.refused;
    return base::fail(base::ErrorCode::kUnavailable, "the service is shutting down");
  }
  const std::size_t taken = stats_.running + waiting_.size();
  const bool all_taken = taken >= options_.slots;
  const char* refusal = nullptr;
  if (all_taken && when_busy == WhenBusy::kRefuse) refusal = "every slot is taken";
  if (taken >= std::size_t{options_.slots} + options_.waiting_max) {
    refusal = "every slot is taken and the queue is full";
  }
  if (refusal != nullptr) {
    ++stats_.refused;
    return base::fail(busy_error(refusal));
  }
  waiting_.push_back(job);
  // Somebody waits: the attendant has to see to it that it is not for too long.
  const bool wakes_attendant = attendant_rests_ && all_taken;
  lock.unlock();  // or who wakes up would wait for it
  work_is_there_.notify_one();
  if (wakes_attendant) ended_is_there_.notify_one();
  return {};
}

bool RunService::Core::call_off(const std::shared_ptr<Job>& job) {
  const std::lock_guard lock(mutex_);
  const auto place = std::ranges::find(waiting_, job);
  if (place == waiting_.end()) return false;
  waiting_.erase(place);
  ++stats_.cancelled;
  ended_.push_back({job, {base::ErrorCode::kCancelled, 0, "cancelled before it began", {}}});
  ended_is_there_.notify_one();
  return true;
}

void RunService::Core::call_off_waiting() {
  for (auto& job : waiting_) {
    ++stats_.cancelled;
    ended_.push_back(
        {std::move(job),
         {base::ErrorCode::kCancelled, 0, "cancelled: the service is shutting down", {}}});
  }
  waiting_.clear();
  ended_is_there_.notify_one();
}

void RunService::Core::drain(milliseconds patience, void (CancelControl::*end)()) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  if (idle_.wait_for(lock, patience, [this] { return is_idle(); })) return;
  call_off_waiting();
  for (const auto& job : running_) (job->control.*end)();
  idle_.wait(lock, [this] { return is_idle(); });
}

RunServiceStats RunService::Core::stats() const {
  const std::lock_guard lock(mutex_);
  RunServiceStats stats = stats_;
  stats.waiting = static_cast<std::uint32_t>(waiting_.size());
  return stats;
}

base::Result<model::RunResult> RunService::Core::run_job(Job& job) {
  Submission& submission = job.submission;
  const RunIo io{.output = submission.output.get(),
                 .compile_output = submission.compile_output.get(),
                 .files = submission.files.get(),
                 .control = &job.control,
                 .clock = &clock_,
                 .gateway = options_.gateway};
  try {
    return run(backend_, std::move(submission.request), io);
  } catch (const std::exception& error) {
    return base::fail(base::ErrorCode::kUnavailable,
                      std::string("the run could not be driven to its end: ") + error.what());
  }
}

void RunService::Core::count_finished(const base::Result<model::RunResult>& result,
                                      steady_clock::duration took) {
  --stats_.running;
  ++stats_.finished;
  count_duration(stats_.ran, took);
  if (result) {
    ++stats_.outcomes[static_cast<std::size_t>(result->outcome.kind)];
  } else {
    ++stats_.failed;
  }
}

void RunService::Core::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (work_is_there_.wait(lock, stop, [this] { return !waiting_.empty(); })) {
    const std::shared_ptr<Job> job = std::move(waiting_.front());
    waiting_.pop_front();
    running_.push_back(job);
    ++answering_;
    ++stats_.started;
    ++stats_.running;
    const auto start = now();
    count_duration(stats_.waited, start - job->submitted);
    lock.unlock();
    auto result = run_job(*job);
    if (result) result->timings.wait = start - job->submitted;
    base::crash_point("run_ended");
    lock.lock();
    std::erase(running_, job);
    count_finished(result, now() - start);
    lock.unlock();
    const bool told = job->finish(std::move(result));
    lock.lock();
    if (!told) ++stats_.lost;
    --answering_;
    if (is_idle()) idle_.notify_all();
  }
}

void RunService::Core::expire_waiting() {
  while (!waiting_.empty() && now() - waiting_.front()->submitted >= options_.wait_max) {
    ++stats_.waited_out;
    ended_.push_back({std::move(waiting_.front()), busy_error("no slot became free in time")});
    waiting_.pop_front();
  }
}

void RunService::Core::answer_ended(std::unique_lock<std::mutex>& lock) {
  auto ended = std::exchange(ended_, {});
  if (ended.empty()) return;
  ++answering_;
  lock.unlock();
  std::uint64_t lost = 0;
  for (Ended& entry : ended) {
    if (!entry.job->finish(base::fail(std::move(entry.error)))) ++lost;
  }
  ended.clear();
  lock.lock();
  stats_.lost += lost;
  --answering_;
  if (is_idle()) idle_.notify_all();
}

// The workers are busy whenever somebody waits: another thread has to answer those.
void RunService::Core::attend(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    expire_waiting();
    answer_ended(lock);
    if (!waiting_.empty()) {
      const auto left = waiting_.front()->submitted + options_.wait_max - now();
      ended_is_there_.wait_for(lock, stop, left, [this] { return !ended_.empty(); });
    } else {
      attendant_rests_ = true;
      ended_is_there_.wait(lock, stop, [this] { return !ended_.empty() || !waiting_.empty(); });
      attendant_rests_ = false;
    }
  }
}

RunService::RunService(backend::Backend& backend, RunServiceOptions options,
                       const base::Clock& clock) {
  options.slots = count_slots(options.slots);
  core_ = std::make_shared<Core>(backend, options, clock);
  threads_.reserve(options.slots + 1);
  threads_.emplace_back([core = core_](const std::stop_token& stop) { core->attend(stop); });
  for (std::uint32_t i = 0; i < options.slots; ++i) {
    threads_.emplace_back([core = core_](const std::stop_token& stop) { core->work(stop); });
  }
}

RunService::~RunService() { core_->drain(milliseconds(0), &CancelControl::kill); }

base::Result<std::shared_ptr<RunTicket>> RunService::submit(Submission submission) {
  AIRLOCK_CHECK(submission.done != nullptr);
  const WhenBusy when_busy = submission.when_busy;
  auto job = std::make_shared<Job>(core_, std::move(submission), core_->now());
  if (!job->control.valid()) return base::fail_errno("eventfd");
  AIRLOCK_TRY(core_->accept(job, when_busy));
  return job;
}

void RunService::drain(milliseconds patience) { core_->drain(patience, &CancelControl::cancel); }

RunServiceStats RunService::stats() const { return core_->stats(); }

}  // namespace airlock::runner
