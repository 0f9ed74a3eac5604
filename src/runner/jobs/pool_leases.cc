#include "runner/jobs/pool_leases.h"

#include <algorithm>
#include <utility>

namespace airlock::runner {
namespace {

using gpu::GpuState;
using gpu::GpuStatus;

constexpr std::string_view kCdiKind = "nvidia.com/gpu=";
constexpr std::size_t kNotesMax = 4;

std::string name_of(const GpuStatus& gpu) {
  return "GPU " + gpu.reading.id + " (" + gpu.reading.uuid + ")";
}

// The type that most have; of two the one with the lowest index.
std::string find_type(const std::vector<GpuStatus>& gpus) {
  std::string best;
  std::ptrdiff_t most = 0;
  for (const GpuStatus& gpu : gpus) {
    const auto count = std::ranges::count(gpus, gpu.type, &GpuStatus::type);
    if (gpu.type.empty() || count <= most) continue;
    best = gpu.type;
    most = count;
  }
  return best;
}

std::string describe(const GpuStatus& gpu) {
  return std::string(gpu::gpu_state_name(gpu.state)) +
         (gpu.reason.empty() ? "" : ": " + gpu.reason);
}

}  // namespace

base::Result<std::unique_ptr<PoolLeases>> PoolLeases::open(gpu::Pool& pool, PoolLeasesParts parts) {
  AIRLOCK_ASSIGN(gpu::QuarantineFolder folder,
                 gpu::QuarantineFolder::open_or_make(parts.quarantine));
  // What is in quarantine is so before anything can be free.
  AIRLOCK_TRY(folder.sync(pool));
  auto leases = std::make_unique<PoolLeases>(pool, std::move(folder), std::move(parts));
  leases->look();
  leases->looking_ = std::thread([all = leases.get()] { all->look_again_and_again(); });
  return leases;
}

PoolLeases::PoolLeases(gpu::Pool& pool, gpu::QuarantineFolder folder, PoolLeasesParts parts)
    : pool_(pool), parts_(std::move(parts)), folder_(std::move(folder)) {}

PoolLeases::~PoolLeases() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    wake_.notify_all();
  }
  if (looking_.joinable()) looking_.join();
}

void PoolLeases::look() {
  pool_.refresh();
  std::string trouble;
  if (const auto synced = folder_.sync(pool_); !synced) trouble = synced.error().to_string();
  if (!trouble.empty() && trouble != folder_trouble_) {
    parts_.log("gpu.quarantine_not_kept", parts_.quarantine.string(), trouble);
  }
  folder_trouble_ = std::move(trouble);
  const std::vector<GpuStatus> gpus = pool_.snapshot();
  {
    const std::lock_guard lock(mutex_);
    if (type_.empty()) type_ = find_type(gpus);
  }
  log_changes(gpus);
}

// What is cleaned and found clean is not worth a line.
void PoolLeases::log_changes(const std::vector<GpuStatus>& now) {
  for (const GpuStatus& gpu : now) {
    const bool is_usual = gpu.state != GpuState::kOffline && gpu.state != GpuState::kError;
    const std::string state = is_usual ? "usable" : describe(gpu);
    const auto [told, is_new] = told_.try_emplace(gpu.reading.uuid, state);
    if (!is_new && told->second == state) continue;
    told->second = state;
    const std::string holder = gpu.holder.empty() ? "" : ", held by " + gpu.holder;
    parts_.log(is_usual ? "gpu.usable" : "gpu.trouble", name_of(gpu),
               is_usual ? gpu.type : state + holder);
  }
}

void PoolLeases::look_again_and_again() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    const auto pause = pool_.is_cleaning() ? kGpuCleaningLookEvery : kGpuLookEvery;
    lock.lock();
    wake_.wait_for(lock, pause, [this] { return look_now_ || ending_; });
    if (ending_) return;
    look_now_ = false;
    lock.unlock();
    look();
    lock.lock();
  }
}

std::string PoolLeases::type() const {
  const std::lock_guard lock(mutex_);
  return type_;
}

GpuCounts PoolLeases::counts() {
  GpuCounts counts{.total = 0, .free = 0, .type = type(), .note = pool_.unavailable()};
  counts.known = counts.note.empty();
  std::size_t notes = 0;
  const auto note = [&](const std::string& text) {
    if (++notes > kNotesMax + 1) return;
    counts.note += (counts.note.empty() ? "" : "; ") + (notes > kNotesMax ? "..." : text);
  };
  const std::vector<GpuStatus> gpus = pool_.snapshot();
  for (const GpuStatus& gpu : gpus) {
    if (gpu.type != counts.type) {
      note(name_of(gpu) + " is of another type, " + gpu.type);
      continue;
    }
    counts.total += gpu.quarantined ? 0 : 1;
    counts.free += gpu.state == GpuState::kFree ? 1 : 0;
    if (gpu.state == GpuState::kOffline || gpu.state == GpuState::kError) {
      note(name_of(gpu) + " is " + describe(gpu));
    }
  }
  // Behind what does not pass by itself.
  for (const GpuStatus& gpu : gpus) {
    if (gpu.state == GpuState::kCleaning && gpu.type == counts.type) {
      note(name_of(gpu) + " is " + describe(gpu));
    }
  }
  return counts;
}

base::Result<std::vector<model::AssignedGpu>> PoolLeases::lease(std::uint32_t count,
                                                                const std::string& holder) {
  return pool_.lease(count, type(), holder);
}

base::Status PoolLeases::restore(const std::string& holder,
                                 std::span<const model::AssignedGpu> gpus) {
  return pool_.restore(holder, gpus);
}

void PoolLeases::release(const std::string& holder) {
  pool_.release(holder);
  const std::lock_guard lock(mutex_);
  look_now_ = true;
  wake_.notify_all();
}

std::vector<std::string> PoolLeases::device_names(std::span<const model::AssignedGpu> gpus) {
  const std::vector<GpuStatus> known = pool_.snapshot();
  std::vector<std::string> names;
  for (const model::AssignedGpu& assigned : gpus) {
    const std::string by_uuid = std::string(kCdiKind) + assigned.uuid;
    const auto gpu = std::ranges::find_if(known, [&assigned](const GpuStatus& candidate) {
      return candidate.reading.uuid == assigned.uuid;
    });
    const std::string by_index =
        std::string(kCdiKind) + (gpu == known.end() ? "" : gpu->reading.id);
    // Where there is neither, the launcher's refusal names the UUID.
    const bool use_index =
        gpu != known.end() && !parts_.has_device(by_uuid) && parts_.has_device(by_index);
    names.push_back(use_index ? by_index : by_uuid);
  }
  return names;
}

std::vector<std::string> PoolLeases::take_faults(const std::string& holder) {
  std::vector<std::string> faults;
  const std::vector<GpuStatus> known = pool_.snapshot();
  for (const gpu::GpuFault& fault : pool_.take_faults(holder)) {
    if (fault.kind == gpu::FaultKind::kPassing) continue;
    const auto gpu = std::ranges::find_if(
        known, [&fault](const GpuStatus& one) { return one.reading.uuid == fault.uuid; });
    faults.push_back((gpu == known.end() ? fault.uuid : name_of(*gpu)) + ": " + fault.reason);
  }
  return faults;
}

std::vector<std::string> PoolLeases::look_for_faults(const std::string& holder) {
  pool_.refresh();
  return take_faults(holder);
}

}  // namespace airlock::runner
