// What a Pool concludes from a reading.
#include <algorithm>
#include <set>
#include <utility>

#include "gpu/pool.h"
#include "gpu/xid.h"

namespace airlock::gpu {
namespace {

constexpr std::size_t kFaultsMax = 16;  // of one GPU, that its holder has not taken
constexpr std::size_t kProcessesNamed = 4;

std::string name_processes(const std::vector<std::uint32_t>& processes) {
  std::string text = processes.size() == 1 ? "process" : "processes";
  for (std::size_t i = 0; i < std::min(processes.size(), kProcessesNamed); ++i) {
    text += (i == 0 ? " " : ", ") + std::to_string(processes[i]);
  }
  if (processes.size() > kProcessesNamed) text += ", ...";
  return text;
}

std::string trouble_of(const GpuReading& reading) {
  if (!reading.trouble.empty()) return reading.trouble;
  if (reading.repair_failed) return "a defect of its memory could not be repaired";
  if (reading.repair_pending) return "a defect of its memory is repaired when it is reset";
  return {};
}

}  // namespace

void Pool::refresh() {
  const std::lock_guard one_at_a_time(refreshing_);
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = ++readings_;
  }
  const HostReading host = source_.read();
  const std::lock_guard lock(mutex_);
  apply(host, number);
}

void Pool::apply(const HostReading& host, std::uint64_t number) {
  unavailable_ = host.unavailable;
  driver_ = host.driver;
  std::set<std::string_view> seen;
  for (const GpuReading& reading : host.gpus) {
    seen.insert(reading.uuid);
    apply_reading(reading, number);
  }
  for (auto& [uuid, gpu] : gpus_) {
    if (seen.contains(uuid)) continue;
    if (host.unavailable.empty()) {
      set_trouble(gpu, "it has vanished from the host", FaultKind::kFatal);
    } else {
      set_trouble(gpu, host.unavailable);
    }
  }
  for (const XidEvent& event : host.xids) apply_xid(event);
}

void Pool::apply_reading(const GpuReading& reading, std::uint64_t number) {
  const auto [place, is_new] = gpus_.try_emplace(reading.uuid);
  Gpu& gpu = place->second;
  if (is_new) make_dirty(gpu, "it was just found");
  if (gpu.type.empty()) gpu.type = type_of_gpu(reading.name, options_.types);
  if (is_new) gpu.clean_after = number;
  if (!reading.trouble.empty()) {
    // What was known of it stays on show.
    gpu.reading.uuid = reading.uuid;
    gpu.reading.index = reading.index;
    gpu.reading.id = reading.id;
    gpu.reading.name = reading.name;
    gpu.reading.parent = reading.parent;
    gpu.reading.trouble = reading.trouble;
    set_trouble(gpu, reading.trouble, reading.lost ? FaultKind::kFatal : FaultKind::kPassing);
    return;
  }
  gpu.reading = reading;
  apply_errors(gpu);
  if (std::string trouble = trouble_of(reading); !trouble.empty()) {
    set_trouble(gpu, std::move(trouble));
    return;
  }
  if (!gpu.holder.empty()) {
    gpu.trouble.clear();
  } else {
    check_clean(gpu, number);
  }
}

void Pool::apply_errors(Gpu& gpu) {
  const std::optional<std::uint64_t> errors = gpu.reading.uncorrected_errors;
  if (errors && gpu.known_errors && *errors > *gpu.known_errors) {
    const GpuReading& reading = gpu.reading;
    set_fault(
        reading.parent.empty() ? reading.uuid : reading.parent,
        std::to_string(*errors - *gpu.known_errors) + " errors of its memory were not corrected");
  }
  if (errors) gpu.known_errors = errors;
}

void Pool::apply_xid(const XidEvent& event) {
  if (!is_xid_of_program(event.code)) set_fault(event.uuid, describe_xid(event.code));
}

std::string Pool::why_not_clean(const Gpu& gpu) const {
  const GpuReading& reading = gpu.reading;
  if (!reading.processes.empty()) { return "it is used by " + name_processes(reading.processes); }
  const std::uint64_t most = gpu.idle_memory
                                 ? gpu.idle_memory->count() + options_.memory_tolerance.count()
                                 : options_.idle_memory_max.count();
  if (reading.memory_used.count() > most) {
    return base::format_byte_count(reading.memory_used) + " of its memory are in use, of at most " +
           base::format_byte_count(base::ByteCount(most)) + " when it is idle";
  }
  return {};
}

void Pool::check_clean(Gpu& gpu, std::uint64_t number) {
  std::string why = why_not_clean(gpu);
  if (why.empty() && number >= gpu.clean_after) {
    gpu.clean = true;
    gpu.trouble.clear();
    gpu.cleaning.clear();
    const base::ByteCount used = gpu.reading.memory_used;
    gpu.idle_memory = std::min(gpu.idle_memory.value_or(used), used);
    return;
  }
  if (why.empty()) return;  // this reading is older than what it would have to tell
  if (gpu.clean) make_dirty(gpu, {});
  gpu.cleaning = std::move(why);
  const auto lasts = clock_.steady_now() - gpu.dirty_since;
  gpu.trouble.clear();
  if (lasts > options_.cleaning_max) gpu.trouble = "it does not get clean: " + gpu.cleaning;
}

void Pool::make_dirty(Gpu& gpu, std::string why) {
  gpu.clean = false;
  gpu.cleaning = std::move(why);
  gpu.clean_after = readings_ + 1;
  gpu.dirty_since = clock_.steady_now();
}

void Pool::set_trouble(Gpu& gpu, std::string trouble, FaultKind kind) {
  const bool news = gpu.trouble != trouble;
  if (news && !gpu.holder.empty() && gpu.faults.size() < kFaultsMax) {
    gpu.faults.push_back({gpu.reading.uuid, trouble, kind});
  }
  gpu.trouble = std::move(trouble);
  if (gpu.holder.empty()) make_dirty(gpu, "it is back and being looked at");
}

void Pool::set_fault(const std::string& uuid, const std::string& reason) {
  if (uuid.empty()) return;
  for (auto& [own, gpu] : gpus_) {
    const bool is_meant = own == uuid || gpu.reading.parent == uuid;
    if (!is_meant || gpu.holder.empty() || gpu.faults.size() >= kFaultsMax) continue;
    gpu.faults.push_back({own, reason, FaultKind::kFatal});
  }
  quarantined_.try_emplace(uuid, reason);
}

}  // namespace airlock::gpu
