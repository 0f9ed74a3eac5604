#include "queue/waiting_queue.h"

#include <algorithm>
#include <utility>

namespace airlock::queue {

bool WaitingQueue::add(WaitingJob job) {
  if (jobs_.contains(job.id)) return false;
  auto owned = std::make_unique<WaitingJob>(std::move(job));
  const WaitingJob& added = *owned;
  jobs_.emplace(added.id, std::move(owned));
  order_.insert(entry_of(added));
  by_age_.insert({added.submitted_at, &added});
  Class& its_class = classes_[added.ask.gpus];
  std::unique_ptr<Bucket>& bucket = its_class.tenants[added.tenant];
  if (!bucket) bucket = std::make_unique<Bucket>();
  // A bucket's place depends on its first job: it is out of the order while that changes.
  if (!bucket->empty()) its_class.order.erase(bucket.get());
  bucket->insert(entry_of(added));
  its_class.order.insert(bucket.get());
  ++depths_[{added.ask.gpus, added.gpu_type, added.priority}];
  return true;
}

bool WaitingQueue::remove(std::string_view id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return false;
  const WaitingJob& job = *found->second;
  order_.erase(entry_of(job));
  by_age_.erase({job.submitted_at, &job});
  const auto its_class = classes_.find(job.ask.gpus);
  const auto bucket = its_class->second.tenants.find(job.tenant);
  its_class->second.order.erase(bucket->second.get());
  bucket->second->erase(entry_of(job));
  if (bucket->second->empty()) {
    its_class->second.tenants.erase(bucket);
  } else {
    its_class->second.order.insert(bucket->second.get());
  }
  if (its_class->second.tenants.empty()) classes_.erase(its_class);
  const auto depth = depths_.find({job.ask.gpus, job.gpu_type, job.priority});
  if (--depth->second == 0) depths_.erase(depth);
  const std::unique_ptr<WaitingJob> last_owner = std::move(found->second);  // of the key as well
  jobs_.erase(found);
  return true;
}

std::vector<Depth> WaitingQueue::depths() const {
  std::vector<Depth> depths;
  for (const auto& [key, jobs] : depths_) {
    const auto& [gpus, gpu_type, priority] = key;
    depths.push_back({.gpus = gpus, .gpu_type = gpu_type, .priority = priority, .jobs = jobs});
  }
  return depths;
}

const WaitingJob* WaitingQueue::find(std::string_view id) const {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : found->second.get();
}

std::optional<std::size_t> WaitingQueue::position(std::string_view id) const {
  const WaitingJob* const job = find(id);
  if (job == nullptr) return std::nullopt;
  return order_.order_of_key(entry_of(*job));
}

std::vector<const WaitingJob*> WaitingQueue::first(std::size_t count) const {
  std::vector<const WaitingJob*> jobs;
  jobs.reserve(std::min(count, size()));
  for (auto at = order_.begin(); at != order_.end() && jobs.size() < count; ++at) {
    jobs.push_back(at->job);
  }
  return jobs;
}

std::vector<const WaitingJob*> WaitingQueue::window(std::string_view reserved) const {
  std::vector<const WaitingJob*> jobs;
  for (const auto& [gpus, its_class] : classes_) add_window(its_class, jobs);
  const WaitingJob* const oldest = by_age_.empty() ? nullptr : by_age_.begin()->job;
  for (const WaitingJob* const wanted : {find(reserved), oldest}) {
    if (wanted != nullptr && std::ranges::find(jobs, wanted) == jobs.end()) jobs.push_back(wanted);
  }
  return jobs;
}

void WaitingQueue::add_window(const Class& its_class, std::vector<const WaitingJob*>& jobs) const {
  const std::size_t tenants = std::min(its_class.order.size(), knobs_.class_window);
  const std::size_t share = knobs_.class_window / std::max<std::size_t>(tenants, 1);
  const std::size_t each =
      std::clamp<std::size_t>(share, 1, std::max<std::size_t>(knobs_.window, 1));
  std::size_t seen = 0;
  for (const Bucket* const bucket : its_class.order) {
    if (seen++ == tenants) return;
    std::size_t taken = 0;
    for (auto at = bucket->begin(); at != bucket->end() && taken < each; ++at, ++taken) {
      jobs.push_back(at->job);
    }
  }
}

}  // namespace airlock::queue
