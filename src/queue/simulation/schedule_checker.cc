#include "queue/simulation/schedule_checker.h"

#include <algorithm>

#include "queue/resources.h"

namespace airlock::queue {

ScheduleChecker::ScheduleChecker(std::span<const TraceJob> jobs, const Resources& host,
                                 const Knobs& knobs)
    : jobs_(jobs),
      host_(host),
      knobs_(knobs),
      gpu_owners_(host.gpus),
      gpus_of_(jobs.size()),
      starts_(jobs.size()),
      is_over_(jobs.size(), false) {
  for (const TraceJob& job : jobs) bound_max_ = std::max(bound_max_, job.bound);
}

void ScheduleChecker::fault(const std::string& kind, WallTime now, const std::string& about) {
  faults_.try_emplace(kind,
                      about + " at " + std::to_string(now.time_since_epoch().count()) + " us");
}

void ScheduleChecker::arrive(WallTime now) {
  for (; arrived_ < jobs_.size() && WallTime(jobs_[arrived_].arrival) <= now; ++arrived_) {
    waiting_.insert(arrived_);
    ++events_;
  }
}

WaitingJob ScheduleChecker::waiting_job(std::size_t index) const {
  const TraceJob& job = jobs_[index];
  return {.id = simulated_id(index),
          .tenant = job.tenant,
          .gpu_type = {},
          .ask = job.ask,
          .priority = job.priority,
          .submitted_at = WallTime(job.arrival),
          .bound = job.bound};
}

void ScheduleChecker::decided(const Snapshot& snapshot, const Decision& decision) {
  arrive(snapshot.now);
  check_resources(snapshot, decision);
  check_promise(snapshot, decision);
}

void ScheduleChecker::check_resources(const Snapshot& snapshot, const Decision& decision) {
  Resources sum = held_;
  for (const std::string& id : decision.start) sum = plus(sum, jobs_[simulated_index(id)].ask);
  if (!fits(sum, host_)) fault("promised twice", snapshot.now, "more than the host has");
  if (minus(host_, held_) != snapshot.host.free) {
    fault("leaked", snapshot.now, "what is free is not what nobody holds");
  }
}

void ScheduleChecker::check_promise(const Snapshot& snapshot, const Decision& decision) {
  const auto starts_now = [&](const std::string& id) {
    return std::ranges::find(decision.start, id) != decision.start.end();
  };
  const auto& given = decision.reservation;
  if (given && starts_now(given->id))
    fault("reservation of a started job", snapshot.now, given->id);
  if (promise_ && starts_now(promise_->id)) {
    if (snapshot.now > promise_->at) fault("promise broken", snapshot.now, promise_->id);
    promise_.reset();
  }
  if (promise_) {
    if (!given || given->id != promise_->id) {
      fault("reservation taken away", snapshot.now, promise_->id);
    } else if (given->at > promise_->at) {
      fault("promise broken", snapshot.now, promise_->id + " is put off");
    }
    passed_ += decision.start.size();
  } else if (given) {
    check_new_promise(decision, snapshot.now);
  }
  promise_ = given;
  // Whoever waits for longest has a reservation itself, or somebody has who starts within a bound.
  for (const std::size_t oldest : waiting_) {
    if (starts_now(simulated_id(oldest))) continue;
    const Duration wait = snapshot.now - WallTime(jobs_[oldest].arrival);
    if (wait >= knobs_.starvation_threshold && !given) {
      fault("starves", snapshot.now, simulated_id(oldest) + " has no reservation before it");
    }
    return;
  }
}

void ScheduleChecker::check_new_promise(const Decision& decision, WallTime now) {
  ++promises_;
  const Reservation& given = *decision.reservation;
  const std::size_t index = simulated_index(given.id);
  if (given.at > now + bound_max_) fault("starves", now, given.id + " is promised too late a time");
  if (now - WallTime(jobs_[index].arrival) < knobs_.starvation_threshold) {
    fault("reservation too soon", now, given.id);
  }
  // No one of those who waited for too long is before it by more than fairness can explain.
  const WallTime key = order_key(waiting_job(index), knobs_);
  for (const std::size_t other : waiting_) {
    if (now - WallTime(jobs_[other].arrival) < knobs_.starvation_threshold) return;
    const bool starts_now =
        std::ranges::find(decision.start, simulated_id(other)) != decision.start.end();
    if (!starts_now && order_key(waiting_job(other), knobs_) + knobs_.fairness_span < key) {
      fault("starves", now, simulated_id(other) + " is passed by the reservation of " + given.id);
      return;
    }
  }
}

void ScheduleChecker::started(std::size_t job, WallTime now, std::span<const std::uint32_t> gpus) {
  ++events_;
  if (waiting_.erase(job) == 0) fault("started twice", now, simulated_id(job));
  starts_[job] = now;
  held_ = plus(held_, jobs_[job].ask);
  if (!fits(held_, host_)) fault("promised twice", now, simulated_id(job));
  if (gpus.size() != jobs_[job].ask.gpus) fault("wrong number of GPUs", now, simulated_id(job));
  for (const std::uint32_t gpu : gpus) {
    if (gpu >= gpu_owners_.size() || gpu_owners_[gpu]) {
      fault("GPU leased twice", now, "GPU " + std::to_string(gpu) + " to " + simulated_id(job));
    } else {
      gpu_owners_[gpu] = job;
    }
  }
  gpus_of_[job].assign(gpus.begin(), gpus.end());
}

void ScheduleChecker::ended(std::size_t job, WallTime now) {
  ++events_;
  if (!starts_[job] || is_over_[job]) {
    fault("ended without running", now, simulated_id(job));
    return;
  }
  if (now != *starts_[job] + jobs_[job].duration) fault("ended late", now, simulated_id(job));
  is_over_[job] = true;
  held_ = minus(held_, jobs_[job].ask);
  for (const std::uint32_t gpu : gpus_of_[job]) {
    if (gpu < gpu_owners_.size() && gpu_owners_[gpu] == job) gpu_owners_[gpu].reset();
  }
}

void ScheduleChecker::finish() {
  const WallTime never{};
  if (std::ranges::find(is_over_, false) != is_over_.end()) fault("not ended", never, "a job");
  if (held_ != Resources{}) fault("leaked", never, "something is held after the end");
  const bool is_leased =
      std::ranges::any_of(gpu_owners_, [](const auto& owner) { return owner.has_value(); });
  if (is_leased) fault("leaked", never, "a GPU is leased after the end");
}

}  // namespace airlock::queue
