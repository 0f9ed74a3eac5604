#include "backend/parked_backend.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/check.h"
#include "base/crash_point.h"

namespace airlock::backend {

// What is given out: a workspace with the sandbox that was made for it, if it was a parked one.
class ParkedBackend::Taken final : public Workspace {
 public:
  Taken(ParkedBackend& owner, Parked parked) : owner_(owner), parked_(std::move(parked)) {}
  ~Taken() override {
    parked_.sandbox.reset();
    owner_.retire(std::move(parked_.workspace));
  }

  bool is_alive() const override { return parked_.workspace->is_alive(); }

  base::Result<std::unique_ptr<Sandbox>> create_sandbox(SandboxSpec spec) override {
    if (parked_.sandbox != nullptr) {
      if (spec == owner_.options_.sandbox) return std::move(parked_.sandbox);
      parked_.sandbox.reset();
      owner_.count_remade();
    }
    return parked_.workspace->create_sandbox(std::move(spec));
  }
  base::Status put_file(InputFile file) override {
    return parked_.workspace->put_file(std::move(file));
  }
  base::Result<Collected> collect(CollectSpec spec) override {
    return parked_.workspace->collect(std::move(spec));
  }
  base::Result<KeptLayer> keep_layer(std::string name) override {
    return parked_.workspace->keep_layer(std::move(name));
  }

 private:
  ParkedBackend& owner_;
  Parked parked_;
};

ParkedBackend::ParkedBackend(std::unique_ptr<Backend> backend, ParkedOptions options,
                             const base::Clock& clock)
    : backend_(std::move(backend)),
      options_(std::move(options)),
      clock_(clock),
      batch_(std::max(1u, std::thread::hardware_concurrency() / 2)) {
  AIRLOCK_CHECK(!options_.workspace.reusable);
  AIRLOCK_CHECK(options_.parked_min <= options_.parked_max);
  AIRLOCK_CHECK(options_.tick.count() > 0);
  worker_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

ParkedBackend::~ParkedBackend() {
  worker_.request_stop();
  worker_.join();
  AIRLOCK_CHECK_EQ(counts_.alive, 0u);
}

base::Result<std::unique_ptr<Workspace>> ParkedBackend::open_workspace(WorkspaceSpec spec) {
  // Of another kind, and for hours: not to be counted among the runs that come and go.
  if (!spec.name.empty()) return backend_->open_workspace(std::move(spec));
  Parked parked = take_parked(spec);
  if (parked.workspace == nullptr) {
    auto opened = backend_->open_workspace(spec);
    if (!opened) {
      const std::lock_guard lock(mutex_);
      --counts_.alive;
      return base::fail(std::move(opened).error());
    }
    parked.workspace = std::move(*opened);
  }
  return std::make_unique<Taken>(*this, std::move(parked));
}

// Counts the caller's workspace as alive, be it a parked one or not.
ParkedBackend::Parked ParkedBackend::take_parked(const WorkspaceSpec& spec) {
  const std::lock_guard lock(mutex_);
  ++counts_.alive;
  Demand& demand = demand_now();
  demand.peak = std::max(demand.peak, counts_.alive);
  Parked taken;
  while (spec == options_.workspace && !parked_.empty() && taken.workspace == nullptr) {
    taken = std::move(parked_.front());
    parked_.pop_front();
    if (taken.workspace->is_alive()) break;
    ++counts_.dead;
    not_before_tick_ = current_tick() + 1;
    taken.sandbox.reset();
    ending_.push_back(std::move(taken.workspace));
  }
  ++(taken.workspace != nullptr ? counts_.hits : counts_.misses);
  if (work_is_due()) work_is_there_.notify_one();
  return taken;
}

void ParkedBackend::retire(std::unique_ptr<Workspace> workspace) {
  const std::lock_guard lock(mutex_);
  --counts_.alive;
  ending_.push_back(std::move(workspace));
  work_is_there_.notify_one();
}

void ParkedBackend::count_remade() {
  const std::lock_guard lock(mutex_);
  ++counts_.remade;
}

ParkedStats ParkedBackend::stats() const {
  const std::lock_guard lock(mutex_);
  ParkedStats stats = counts_;
  stats.parked = static_cast<std::uint32_t>(parked_.size());
  stats.target = target();
  stats.ending = static_cast<std::uint32_t>(ending_.size());
  stats.steps = steps_;
  stats.at_work = at_work_;
  return stats;
}

std::int64_t ParkedBackend::current_tick() const {
  return clock_.steady_now().time_since_epoch() / options_.tick;
}

ParkedBackend::Demand& ParkedBackend::demand_now() {
  const std::int64_t tick = current_tick();
  Demand& demand = demand_[static_cast<std::size_t>(tick) % kDemandTicks];
  if (demand.tick != tick) demand = {.tick = tick, .peak = counts_.alive};
  return demand;
}

std::uint32_t ParkedBackend::target() const {
  std::uint32_t peak = counts_.alive;
  const auto oldest = current_tick() - static_cast<std::int64_t>(kDemandTicks);
  for (const Demand& demand : demand_) {
    if (demand.tick > oldest) peak = std::max(peak, demand.peak);
  }
  return std::clamp(peak, options_.parked_min, options_.parked_max);
}

bool ParkedBackend::wants_more() {
  const std::uint32_t wanted = target();
  if (parked_.size() * 2 < wanted) filling_ = true;
  if (parked_.size() >= wanted) filling_ = false;
  return parked_.size() < wanted && (filling_ || counts_.alive == 0) &&
         current_tick() >= not_before_tick_;
}

bool ParkedBackend::work_is_due() { return !ending_.empty() || wants_more(); }

// One, if there are more than wanted and none was given back in this tick.
ParkedBackend::Parked ParkedBackend::find_surplus() {
  if (parked_.size() <= target() || current_tick() <= gave_back_tick_) return {};
  gave_back_tick_ = current_tick();
  ++counts_.given_back;
  Parked surplus = std::move(parked_.front());
  parked_.pop_front();
  return surplus;
}

// Requested; it is made while the next one is requested.
base::Result<ParkedBackend::Parked> ParkedBackend::request_one() {
  Parked made;
  AIRLOCK_ASSIGN(made.workspace, backend_->open_workspace(options_.workspace));
  AIRLOCK_ASSIGN(made.sandbox, made.workspace->create_sandbox(options_.sandbox));
  return made;
}

// Memory may run out. The thread has nobody to tell but the next run, which asks for the same and
// gets the error itself: fewer than `count` are made then.
std::vector<ParkedBackend::Parked> ParkedBackend::make_parked(std::size_t count) {
  std::vector<Parked> ready;
  try {
    std::vector<Parked> requested;
    while (requested.size() < count) {
      auto made = request_one();
      if (!made) break;
      requested.push_back(std::move(*made));
      ++steps_;
      base::crash_point("parking");
    }
    // The answer to the last request is there when all of the sandbox is. A run then finds it so,
    // and no more of them are in the making than there are processors to spare.
    for (Parked& made : requested) {
      if (made.workspace->collect({.patterns = {}})) ready.push_back(std::move(made));
      ++steps_;
    }
  } catch (const std::exception&) { ready.clear(); }
  return ready;
}

void ParkedBackend::refill(std::unique_lock<std::mutex>& lock) {
  const std::size_t count = std::min<std::size_t>(target() - parked_.size(), batch_);
  lock.unlock();
  std::vector<Parked> made = make_parked(count);
  lock.lock();
  if (made.size() < count) not_before_tick_ = current_tick() + 1;
  for (Parked& one : made) parked_.push_back(std::move(one));
}

void ParkedBackend::end_those(std::vector<std::unique_ptr<Workspace>> workspaces) {
  for (auto& workspace : workspaces) {
    workspace.reset();
    ++steps_;
  }
}

void ParkedBackend::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    at_work_ = true;
    ++steps_;
    // A place is made before it is needed: what has ended holds memory and a slot.
    if (auto ended = std::exchange(ending_, {}); !ended.empty()) {
      lock.unlock();
      base::crash_point("retiring");
      end_those(std::move(ended));
      lock.lock();
    }
    if (wants_more()) {
      refill(lock);
      continue;
    }
    if (Parked surplus = find_surplus(); surplus.workspace != nullptr) {
      lock.unlock();
      surplus.sandbox.reset();
      surplus.workspace.reset();
      ++steps_;
      lock.lock();
      continue;
    }
    // With nothing to shrink and nothing to wait for, only a run wakes this thread.
    const auto due = [this] { return work_is_due(); };
    at_work_ = false;
    if (parked_.size() != options_.parked_min) {
      work_is_there_.wait_for(lock, stop, options_.tick, due);
    } else {
      work_is_there_.wait(lock, stop, due);
    }
  }
  lock.unlock();
  parked_.clear();
  ending_.clear();
}

}  // namespace airlock::backend
