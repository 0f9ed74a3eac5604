// JobService at its start and its end: what ran before is found again, what runs is let go of.
#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "runner/jobs/job_driver.h"
#include "runner/jobs/job_service.h"
#include "store/blocking.h"

namespace airlock::runner {

using store::JobStore;
using store::wait_for;

base::Status JobService::start() {
  AIRLOCK_TRY(load_queue());
  AIRLOCK_TRY(reconcile());
  scheduler_ = std::jthread([this] { schedule(); });
  return {};
}

void JobService::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (scheduler_.joinable()) scheduler_.join();
  for (;;) {
    std::vector<std::unique_ptr<Active>> ended;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [id, one] : active_) one->control.detach();
      ended = std::exchange(ended_, {});
      if (active_.empty() && ended.empty()) return;
    }
    if (!ended.empty()) continue;  // joins
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::milliseconds(100), [this] { return !ended_.empty(); });
  }
}

base::Status JobService::load_queue() {
  store::JobFilter filter;
  filter.states = {model::JobState::kPending};
  filter.limit = store::kListMax;
  const std::uint32_t gpus = parts_.gpus.counts().total;
  for (;;) {
    AIRLOCK_ASSIGN(store::JobPage page, wait_for(&JobStore::list, parts_.store, filter));
    for (const model::JobRecord& record : page.jobs) take_back(record, gpus);
    if (page.next.empty()) return {};
    filter.cursor = page.next;
  }
}

base::Status JobService::reconcile() {
  AIRLOCK_ASSIGN(std::vector<model::JobRecord> unfinished,
                 wait_for(&JobStore::unfinished, parts_.store, parts_.store.runner_id()));
  AIRLOCK_ASSIGN(const std::vector<std::string> names, parts_.backend.list_workspaces());
  std::set<std::string> unknown(names.begin(), names.end());
  for (model::JobRecord& record : unfinished) {
    const bool alive = unknown.erase(workspace_name(record)) > 0;
    reconcile_one(std::move(record), alive);
  }
  // Of attempts that the store does not know any more.
  for (const std::string& name : unknown) {
    parts_.log("job.orphan", name, "nobody knows this workspace: it is ended");
    (void)parts_.backend.discard_workspace(name);
  }
  return {};
}

// A driver decides what becomes of a job, also of one of which nothing is left.
void JobService::reconcile_one(model::JobRecord record, bool alive) {
  parts_.log(alive ? "job.adopt" : "job.lost", record.id, job_state_name(record.state));
  if (alive) {
    const auto restored = parts_.gpus.restore(record.id, record.gpus);
    if (!restored) parts_.log("job.gpu_lost", record.id, restored.error().to_string());
  }
  queue::WaitingJob job = waiting_job(record, parts_.gpus.counts().total);
  queue::RunningJob running{
      .id = record.id,
      .tenant = std::move(job.tenant),
      .held = alive ? job.ask : model::Resources{},
      .latest_end = record.started_at.value_or(record.submitted_at) + job.bound};
  drive(std::move(record), std::move(running), /*adopt=*/true);
}

void JobService::keep_house() {
  prune_history();
  prune_builds();
  sweep_files();
}

void JobService::prune_history() {
  const auto before = std::chrono::time_point_cast<std::chrono::microseconds>(
      parts_.clock.wall_now() - settings_.history.age);
  for (bool more = true; more;) {
    auto pruned = wait_for(
        &JobStore::prune, parts_.store,
        store::PruneRequest{.ended_before = before, .keep_at_most = settings_.history.count});
    if (!pruned) return parts_.log("job.prune_failed", "", pruned.error().to_string());
    for (const std::string& id : pruned->ids) {
      if (const auto removed = parts_.files.remove(id); !removed) {
        parts_.log("job.remove_failed", id, removed.error().to_string());
      }
    }
    more = pruned->more;
  }
}

// Folders of jobs that history has forgotten, should we have died between the two. What is younger
// than history stays: the store may have been put back from a copy, and nothing else has them.
void JobService::sweep_files() {
  const auto oldest = std::filesystem::file_time_type::clock::now() - settings_.history.age;
  for (const std::string& id : parts_.files.ids()) {
    std::error_code error;
    const auto changed = std::filesystem::last_write_time(parts_.files.of(id), error);
    if (error || changed > oldest) continue;
    const auto record = wait_for(&JobStore::find, parts_.store, id);
    if (!record || *record) continue;
    parts_.log("job.orphan", id, "nobody knows this job: its files are removed");
    if (const auto removed = parts_.files.remove(id); !removed) {
      parts_.log("job.remove_failed", id, removed.error().to_string());
    }
  }
}

// Builds that nobody has used for longest go first; one that is in use stays.
void JobService::prune_builds() {
  auto layers = parts_.backend.list_layers();
  if (!layers) return;
  std::ranges::sort(*layers, {}, &backend::LayerInfo::used);
  std::uint64_t bytes = 0;
  for (const backend::LayerInfo& layer : *layers) bytes += layer.bytes.count();
  for (const backend::LayerInfo& layer : *layers) {
    if (bytes <= settings_.history.builds.count()) return;
    if (parts_.backend.remove_layer(layer.name)) bytes -= layer.bytes.count();
  }
}

}  // namespace airlock::runner
