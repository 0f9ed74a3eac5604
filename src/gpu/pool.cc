#include "gpu/pool.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "gpu/choice.h"

namespace airlock::gpu {

std::string_view gpu_state_name(GpuState state) {
  switch (state) {
    case GpuState::kFree: return "free";
    case GpuState::kAllocated: return "allocated";
    case GpuState::kCleaning: return "cleaning";
    case GpuState::kError: return "error";
    case GpuState::kOffline: return "offline";
  }
  return "offline";
}

Pool::Pool(NvmlSource& source, PoolOptions options, const base::Clock& clock)
    : source_(source), options_(std::move(options)), clock_(clock) {}

const std::string* Pool::find_fault(const Gpu& gpu) const {
  auto fault = quarantined_.find(gpu.reading.uuid);
  if (fault == quarantined_.end()) fault = quarantined_.find(gpu.reading.parent);
  return fault == quarantined_.end() ? nullptr : &fault->second;
}

GpuState Pool::state_of(const Gpu& gpu) const {
  const bool taken_away = !gpu.trouble.empty() || find_fault(gpu) != nullptr;
  if (!gpu.holder.empty()) return taken_away ? GpuState::kError : GpuState::kAllocated;
  if (taken_away) return GpuState::kOffline;
  return gpu.clean ? GpuState::kFree : GpuState::kCleaning;
}

std::string Pool::reason_of(const Gpu& gpu) const {
  if (const std::string* const fault = find_fault(gpu)) return *fault;
  if (!gpu.trouble.empty()) return gpu.trouble;
  return gpu.holder.empty() && !gpu.clean ? gpu.cleaning : std::string();
}

std::vector<const Pool::Gpu*> Pool::in_order() const {
  std::vector<const Gpu*> gpus;
  for (const auto& [uuid, gpu] : gpus_) gpus.push_back(&gpu);
  // Instances of one GPU by their number, which is the end of the id.
  std::ranges::sort(gpus, {}, [](const Gpu* gpu) {
    return std::tuple(gpu->reading.index, gpu->reading.id.size(), gpu->reading.id,
                      gpu->reading.uuid);
  });
  return gpus;
}

std::vector<GpuStatus> Pool::snapshot() const {
  const std::lock_guard lock(mutex_);
  std::vector<GpuStatus> all;
  for (const Gpu* const gpu : in_order()) {
    all.push_back({.reading = gpu->reading,
                   .type = gpu->type,
                   .state = state_of(*gpu),
                   .reason = reason_of(*gpu),
                   .holder = gpu->holder,
                   .quarantined = find_fault(*gpu) != nullptr});
  }
  return all;
}

std::string Pool::unavailable() const {
  const std::lock_guard lock(mutex_);
  return unavailable_;
}

std::string Pool::driver() const {
  const std::lock_guard lock(mutex_);
  return driver_;
}

std::uint32_t Pool::free_count(std::string_view type) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint32_t>(std::ranges::count_if(gpus_, [&](const auto& entry) {
    return entry.second.type == type && state_of(entry.second) == GpuState::kFree;
  }));
}

bool Pool::is_cleaning() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(
      gpus_, [&](const auto& entry) { return state_of(entry.second) == GpuState::kCleaning; });
}

base::Result<std::vector<model::AssignedGpu>> Pool::lease(std::uint32_t count,
                                                          std::string_view type,
                                                          const std::string& holder) {
  std::vector<model::AssignedGpu> leased;
  if (count == 0) return leased;
  const std::lock_guard lock(mutex_);
  if (holder.empty() || std::ranges::any_of(gpus_, [&holder](const auto& entry) {
        return entry.second.holder == holder;
      })) {
    return base::fail(base::ErrorCode::kInvalidArgument, "\"" + holder + "\" has GPUs already");
  }
  std::vector<Candidate> free;
  std::uint32_t place = 0;
  for (const Gpu* const gpu : in_order()) {
    if (gpu->type != type) continue;
    if (state_of(*gpu) == GpuState::kFree) {
      free.push_back({.place = place,
                      .uuid = gpu->reading.uuid,
                      .parent = gpu->reading.parent,
                      .numa_node = gpu->reading.numa_node,
                      .nvlink_peers = gpu->reading.nvlink_peers});
    }
    ++place;
  }
  if (free.size() < count) {
    return base::fail(base::ErrorCode::kUnavailable,
                      std::to_string(count) + " " + std::string(type) + " are wanted, " +
                          std::to_string(free.size()) + " are free" +
                          (unavailable_.empty() ? "" : ": " + unavailable_));
  }
  for (const std::size_t position : choose_gpus(free, count)) {
    Gpu& gpu = gpus_.find(free[position].uuid)->second;
    gpu.holder = holder;
    gpu.faults.clear();
    leased.push_back({.index = gpu.reading.index, .uuid = gpu.reading.uuid});
  }
  return leased;
}

base::Status Pool::restore(const std::string& holder, std::span<const model::AssignedGpu> gpus) {
  if (holder.empty()) {
    return base::fail(base::ErrorCode::kInvalidArgument, "a holder of GPUs has no name");
  }
  const std::lock_guard lock(mutex_);
  std::string problems;
  for (const model::AssignedGpu& assigned : gpus) {
    const auto [place, is_new] = gpus_.try_emplace(assigned.uuid);
    Gpu& gpu = place->second;
    if (!gpu.holder.empty() && gpu.holder != holder) {
      problems += (problems.empty() ? "" : "; ") + assigned.uuid + " is leased to " + gpu.holder;
      continue;
    }
    gpu.holder = holder;
    if (!is_new) continue;
    gpu.reading.uuid = assigned.uuid;
    gpu.reading.index = assigned.index;
    gpu.reading.id = std::to_string(assigned.index);
    gpu.trouble = "it is not on this host";
    problems += (problems.empty() ? "" : "; ") + assigned.uuid + " is not on this host";
  }
  if (problems.empty()) return {};
  return base::fail(base::ErrorCode::kUnavailable, "GPUs of " + holder + ": " + problems);
}

void Pool::release(const std::string& holder) {
  if (holder.empty()) return;
  const std::lock_guard lock(mutex_);
  for (auto& [uuid, gpu] : gpus_) {
    if (gpu.holder != holder) continue;
    gpu.holder.clear();
    gpu.faults.clear();
    make_dirty(gpu, "it was given back and is being looked at");
  }
}

std::vector<GpuFault> Pool::take_faults(const std::string& holder) {
  const std::lock_guard lock(mutex_);
  std::vector<GpuFault> faults;
  for (auto& [uuid, gpu] : gpus_) {
    if (holder.empty() || gpu.holder != holder) continue;
    std::ranges::move(gpu.faults, std::back_inserter(faults));
    gpu.faults.clear();
  }
  return faults;
}

void Pool::quarantine(const std::string& uuid, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (!uuid.empty()) quarantined_.try_emplace(uuid, reason);
}

base::Status Pool::lift(const std::string& uuid) {
  const std::lock_guard lock(mutex_);
  if (quarantined_.erase(uuid) == 0) {
    return base::fail(base::ErrorCode::kNotFound, uuid + " is not in quarantine");
  }
  for (auto& [own, gpu] : gpus_) {
    if (own != uuid && gpu.reading.parent != uuid) continue;
    gpu.idle_memory.reset();
    if (gpu.holder.empty()) make_dirty(gpu, "its quarantine was lifted and it is being looked at");
  }
  return {};
}

std::vector<GpuFault> Pool::quarantined() const {
  const std::lock_guard lock(mutex_);
  std::vector<GpuFault> all;
  for (const auto& [uuid, reason] : quarantined_) all.push_back({uuid, reason});
  return all;
}

}  // namespace airlock::gpu
