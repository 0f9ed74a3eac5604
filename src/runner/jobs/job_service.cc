#include "runner/jobs/job_service.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/crash_point.h"
#include "queue/estimate.h"
#include "queue/resources.h"
#include "runner/jobs/disk_wait.h"
#include "runner/jobs/job_ask.h"
#include "runner/jobs/job_driver.h"
#include "runner/jobs/job_source.h"
#include "store/blocking.h"

namespace airlock::runner {
namespace {

// A decision is due when something changes, and as jobs grow older.
constexpr std::chrono::milliseconds kDecideEvery{1'000};
constexpr std::size_t kReceiptBytesMax = 64u << 20;

model::WallTime now(const base::Clock& clock) {
  return std::chrono::time_point_cast<std::chrono::microseconds>(clock.wall_now());
}

// The order of a job's life.
constexpr std::array<std::string_view, 4> kSteps = {"clone", "build", "prep", "inference"};

}  // namespace

JobService::JobService(JobParts parts, JobSettings settings)
    : parts_(std::move(parts)),
      settings_(std::move(settings)),
      policy_(queue::make_policy("airlock")),
      waiting_(settings_.queue) {}

JobService::~JobService() { stop(); }

// --- asking --------------------------------------------------------------------------------------
base::Status JobService::check(const model::JobSpec& spec) const {
  AIRLOCK_TRY(check_source(spec, settings_));
  AIRLOCK_TRY(check_wishes(spec, settings_));
  for (const std::string* uri : {&spec.input_uri, &spec.output_uri}) {
    if (!uri->empty()) AIRLOCK_TRY(artifact::parse_location(*uri));
  }
  const GpuCounts gpus = parts_.gpus.counts();
  const model::WeightClass& wanted = spec.weight_class;
  if (wanted.gpus > 0 && gpus.total == 0) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "this runner has no GPUs for " + wanted.to_string() +
                          (gpus.note.empty() ? "" : ": " + gpus.note),
                      "jobs without GPUs have the weight class 0x");
  }
  if (wanted.gpus > 0 && wanted.gpu_type != gpus.type) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "this runner has no " + wanted.gpu_type + ", its GPUs are " + gpus.type);
  }
  model::JobRecord record;
  record.spec = spec;
  queue::Host whole{.total = settings_.host, .free = settings_.host, .gpu_type = gpus.type};
  whole.total.gpus = gpus.total;
  if (std::string why = queue::why_impossible(waiting_job(record, gpus.total), whole);
      !why.empty()) {
    return base::fail(base::ErrorCode::kInvalidArgument, std::move(why));
  }
  return parts_.backend.level() >= spec.min_isolation.value_or(model::IsolationLevel::kProcess)
             ? base::Status()
             : base::fail(base::ErrorCode::kInvalidArgument,
                          "the isolation that min_isolation asks for is not to be had here",
                          "the direct backend gives \"container\" at most");
}

queue::WaitingJob JobService::waiting_job(const model::JobRecord& record,
                                          std::uint32_t host_gpus) const {
  return {.id = record.id,
          .tenant = tenant_of(record),
          .gpu_type = record.spec.weight_class.gpu_type,
          .ask = resources_of(record.spec, settings_, host_gpus),
          .priority = record.spec.priority,
          .submitted_at = record.submitted_at,
          .bound = timeouts_of(record.spec, settings_).sum()};
}

queue::Host JobService::host() {
  const GpuCounts gpus = parts_.gpus.counts();
  queue::Host host{.total = settings_.host, .free = {}, .gpu_type = gpus.type};
  host.total.gpus = gpus.total;
  host.free = host.total;
  for (const auto& [id, active] : active_) {
    host.free = queue::minus(host.free, active->running.held);
  }
  host.free.gpus = gpus.free;
  return host;
}

std::vector<queue::RunningJob> JobService::running() const {
  std::vector<queue::RunningJob> running;
  for (const auto& [id, active] : active_) running.push_back(active->running);
  return running;
}

JobSubmitted JobService::accepted(const model::JobSpec& spec, const store::Submitted& submitted) {
  JobSubmitted answer{.record = {}, .position = 0, .estimated_start = {}, .replayed = false};
  answer.record.id = submitted.id;
  answer.record.spec = spec;
  answer.record.state = submitted.state;
  answer.replayed = submitted.replayed;
  const std::lock_guard lock(mutex_);
  const auto estimate =
      queue::estimate_start(waiting_, submitted.id, running(), host(), now(parts_.clock));
  if (!estimate) return answer;
  answer.position = static_cast<std::uint32_t>(estimate->position);
  if (answer.position > 0) answer.estimated_start = estimate->start;
  return answer;
}

void JobService::submit(JobSubmission submission, Done<JobSubmitted> done) {
  if (auto checked = check(submission.spec); !checked) {
    return done(base::fail(std::move(checked).error()));
  }
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= settings_.history.waiting_max) {
      return done(base::fail(base::ErrorCode::kBusy, "as many jobs wait as may wait",
                             "come back when some have started"));
    }
  }
  model::JobSpec spec = submission.spec;
  std::string owner = submission.owner;
  parts_.store.submit({.spec = std::move(submission.spec),
                       .owner = std::move(submission.owner),
                       .idempotency_key = std::move(submission.idempotency_key)},
                      [this, spec = std::move(spec), owner = std::move(owner),
                       done = std::move(done)](base::Result<store::Submitted> submitted) {
                        if (!submitted) return done(base::fail(std::move(submitted).error()));
                        if (!submitted->replayed) {
                          model::JobRecord record;
                          record.id = submitted->id;
                          record.spec = spec;
                          record.owner = owner;
                          record.submitted_at = now(parts_.clock);
                          parts_.observer.submitted(observed(record));
                          take_back(record, parts_.gpus.counts().total);
                        }
                        done(accepted(spec, *submitted));
                      });
}

// Into the queue, from its submission or from an attempt that was lost.
void JobService::take_back(const model::JobRecord& record, std::uint32_t host_gpus) {
  queue::WaitingJob job = waiting_job(record, host_gpus);
  const std::lock_guard lock(mutex_);
  waiting_.add(std::move(job));
  look_ = true;
  wake_.notify_one();
}

void JobService::find(std::string id, Done<std::optional<model::JobRecord>> done) {
  parts_.store.find(std::move(id), std::move(done));
}

void JobService::list(store::JobFilter filter, Done<store::JobPage> done) {
  parts_.store.list(std::move(filter), std::move(done));
}

void JobService::changes_since(store::ChangesRequest request, Done<store::ChangesPage> done) {
  parts_.store.changes_since(std::move(request), std::move(done));
}

void JobService::cancel(std::string id, Done<store::JobHead> done) {
  parts_.store.request_cancel(
      id, [this, id, done = std::move(done)](base::Result<store::JobHead> head) {
        if (head) {
          if (model::is_terminal(head->state)) forget_cancelled(id);
          const std::lock_guard lock(mutex_);
          const auto active = active_.find(id);
          if (active != active_.end() && head->cancel_requested) active->second->control.cancel();
        }
        done(std::move(head));
      });
}

void JobService::status(Done<RunnerStatus> done) {
  RunnerStatus status;
  status.runner_id = parts_.store.runner_id();
  const GpuCounts gpus = parts_.gpus.counts();
  status.gpus_total = gpus.total;
  status.gpus_free = gpus.free;
  status.gpu_note = gpus.note;
  {
    const std::lock_guard lock(mutex_);
    status.operational = !stopping_;
    for (const auto& [id, active] : active_) status.active.push_back(id);
    const queue::Host host = this->host();
    status.total = host.total;
    status.free = host.free;
  }
  parts_.store.count({}, [status = std::move(status),
                          done = std::move(done)](base::Result<store::JobCounts> counts) mutable {
    if (!counts) return done(base::fail(std::move(counts).error()));
    status.counts = *counts;
    done(std::move(status));
  });
}

std::vector<queue::Depth> JobService::queue_depths() const {
  const std::lock_guard lock(mutex_);
  return waiting_.depths();
}

std::vector<std::string> JobService::log_steps(const std::string& id) {
  std::vector<std::string> steps;
  for (const std::string_view step : kSteps) {
    std::error_code error;
    if (std::filesystem::exists(parts_.files.log(id, std::string(step)), error)) {
      steps.emplace_back(step);
    }
  }
  return steps;
}

base::Result<LogPiece> JobService::read_log(const std::string& id, const std::string& step,
                                            std::uint64_t offset, std::size_t bytes_max) {
  if (std::ranges::find(kSteps, step) == kSteps.end()) {
    return base::fail(base::ErrorCode::kNotFound, "no step of a job has that name",
                      "clone, build, prep or inference");
  }
  return runner::read_log(parts_.files.log(id, step), offset, bytes_max);
}

base::Result<JobOutput> JobService::open_output(const std::string& id, const std::string& path) {
  AIRLOCK_ASSIGN(base::UniqueFd content, open_beneath(parts_.files.outputs(id), path));
  AIRLOCK_ASSIGN(const base::ByteCount size, size_of(content.get()));
  return JobOutput{std::move(content), size};
}

base::Result<std::string> JobService::receipt(const std::string& id) {
  return read_whole(parts_.files.receipt(id), kReceiptBytesMax);
}

std::string JobService::receipt_key() { return parts_.key.public_key().to_pem(); }

// --- deciding ------------------------------------------------------------------------------------
void JobService::schedule() {
  auto house_kept = parts_.clock.steady_now() - settings_.house_every;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    look_ = false;
    std::vector<std::unique_ptr<Active>> ended = std::exchange(ended_, {});
    lock.unlock();
    ended.clear();  // joins
    start_next();
    if (parts_.clock.steady_now() - house_kept >= settings_.house_every) {
      keep_house();
      house_kept = parts_.clock.steady_now();
    }
    lock.lock();
    wake_.wait_for(lock, kDecideEvery, [this] { return look_ || stopping_; });
  }
}

void JobService::start_next() {
  // What waits here loses nothing; an attempt that cannot write its logs does.
  const bool had_room = std::exchange(has_room_, has_room(settings_.directory));
  if (had_room && !has_room_) {
    parts_.log("jobs.no_room", "",
               "no job is begun: there is no room below " + settings_.directory.string());
  }
  if (!has_room_) return;
  queue::Decision decision;
  {
    const std::lock_guard lock(mutex_);
    if (active_.size() >= settings_.active_max || waiting_.size() == 0) return;
    const queue::Host host = this->host();
    const std::vector<queue::RunningJob> running = this->running();
    const auto window = waiting_.window(reserved_);
    decision = policy_->decide({.now = now(parts_.clock),
                                .host = host,
                                .running = running,
                                .waiting = window,
                                .reserved = reserved_,
                                .knobs = settings_.queue});
    reserved_ = decision.reservation ? decision.reservation->id : std::string();
    const std::size_t room = settings_.active_max - active_.size();
    if (decision.start.size() > room) decision.start.resize(room);
  }
  for (const queue::Impossible& impossible : decision.impossible) {
    if (can_tell(impossible.id)) end_impossible(impossible);
  }
  for (const std::string& id : decision.start) start_job(id);
}

// A driver that does not answer says nothing of how many GPUs the host has.
bool JobService::can_tell(const std::string& id) {
  if (parts_.gpus.counts().known) return true;
  const std::lock_guard lock(mutex_);
  const queue::WaitingJob* const job = waiting_.find(id);
  return job == nullptr || job->ask.gpus == 0;
}

// The host has become smaller than it was when the job was accepted.
void JobService::end_impossible(const queue::Impossible& impossible) {
  auto claimed = store::wait_for(
      &store::JobStore::claim, parts_.store,
      store::ClaimRequest{.id = impossible.id, .runner_id = parts_.store.runner_id(), .gpus = {}});
  if (!claimed) {
    if (!still_waits(impossible.id)) forget(impossible.id);
    return;
  }
  forget(impossible.id);
  store::JobChange change;
  change.state = model::JobState::kFailed;
  change.error_code = "impossible";
  change.error_message = "This runner can no longer run the job: " + impossible.reason;
  const auto ended =
      store::wait_for(&store::JobStore::update, parts_.store,
                      store::JobClaim{claimed->id, claimed->fencing_token}, std::move(change));
  if (ended) {
    return parts_.observer.ended(observed(*claimed), model::JobState::kFailed, std::nullopt);
  }
  // It is ours now, and a driver gives it back once the store answers again.
  parts_.log("job.end_failed", claimed->id, ended.error().to_string());
  queue::RunningJob nothing;
  nothing.id = impossible.id;
  drive(std::move(*claimed), std::move(nothing), /*adopt=*/true);
}

// A claim may fail by the store's own trouble, which says nothing of the job.
bool JobService::still_waits(const std::string& id) {
  const auto record = store::wait_for(&store::JobStore::find, parts_.store, id);
  if (!record) return true;  // asked again with the next decision
  return *record && (*record)->state == model::JobState::kPending;
}

void JobService::forget(const std::string& id) {
  const std::lock_guard lock(mutex_);
  waiting_.remove(id);
  if (reserved_ == id) reserved_.clear();
}

// Whoever takes it out of the queue tells; nobody else knows that it was there.
void JobService::forget_cancelled(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const queue::WaitingJob* const job = waiting_.find(id);
  if (job == nullptr) return;
  parts_.observer.ended(observed(*job), model::JobState::kCancelled, std::nullopt);
  waiting_.remove(id);
}

void JobService::start_job(const std::string& id) {
  queue::RunningJob running;
  std::uint32_t gpus = 0;
  {
    const std::lock_guard lock(mutex_);
    const queue::WaitingJob* const job = waiting_.find(id);
    if (job == nullptr) return;  // cancelled meanwhile
    running = {.id = id,
               .tenant = job->tenant,
               .held = job->ask,
               .latest_end = queue::latest_end(*job, now(parts_.clock))};
    gpus = job->ask.gpus;
  }
  auto leased = parts_.gpus.lease(gpus, id);
  if (!leased) return;  // one became sick meanwhile: the next decision knows
  auto record = store::wait_for(
      &store::JobStore::claim, parts_.store,
      store::ClaimRequest{
          .id = id, .runner_id = parts_.store.runner_id(), .gpus = std::move(*leased)});
  if (!record) {
    parts_.gpus.release(id);
    parts_.log("job.claim_failed", id, record.error().to_string());
    if (!still_waits(id)) forget_cancelled(id);
    return;
  }
  forget(id);
  base::crash_point("job_claimed");
  drive(std::move(*record), std::move(running), /*adopt=*/false);
}

void JobService::drive(model::JobRecord record, queue::RunningJob running, bool adopt) {
  const std::lock_guard lock(mutex_);
  const std::string id = record.id;
  auto active = std::make_unique<Active>();
  active->running = std::move(running);
  JobControl& control = active->control;
  if (record.cancel_requested) control.cancel();
  const model::Resources held = active->running.held;
  tell_driven(parts_.observer, record, now(parts_.clock), adopt);
  active->thread =
      std::jthread([this, record = std::move(record), held, adopt, &control]() mutable {
        const std::string id = record.id;
        JobDriver driver(parts_, settings_, std::move(record), held, control);
        const JobEnd end = driver.run(adopt);
        parts_.gpus.release(id);
        if (end == JobEnd::kEnded) {
          tell_ended(parts_.observer, driver.record());
        } else {
          parts_.observer.let_go(id);
        }
        finished(id);
        if (end == JobEnd::kHandedBack) take_back(driver.record(), parts_.gpus.counts().total);
      });
  active_.insert_or_assign(id, std::move(active));
}

// On the driver's own thread: somebody else joins it.
void JobService::finished(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto active = active_.find(id);
  ended_.push_back(std::move(active->second));
  active_.erase(active);
  look_ = true;
  wake_.notify_one();
}

}  // namespace airlock::runner
