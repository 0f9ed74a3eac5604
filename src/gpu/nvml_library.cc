#include "gpu/nvml_library.h"

#include <algorithm>
#include <array>
#include <utility>

#include "gpu/nvml.h"

namespace airlock::gpu {
namespace {

constexpr std::size_t kEventsMax = 1'024;  // of one look

bool is_in_mig_mode(const NvmlFunctions& nvml, NvmlDevice device) {
  unsigned current = 0;
  unsigned pending = 0;
  return nvml.mig_mode != nullptr && nvml.mig_count != nullptr && nvml.mig_by_index != nullptr &&
         nvml.mig_mode(device, &current, &pending) == kNvmlSuccess && current == kNvmlMigEnabled;
}

}  // namespace

base::Result<NvmlCount> NvmlLibrary::start() {
  if (!loaded_) {
    AIRLOCK_ASSIGN(nvml_, load_nvml(path_.empty() ? kNvmlLibrary : path_));
    loaded_ = true;
  }
  if (!started_) {
    const NvmlReturn result = nvml_.init();
    if (result != kNvmlSuccess) {
      return base::fail(base::ErrorCode::kUnavailable,
                        "the NVIDIA driver cannot be used: " + nvml_.explain(result));
    }
    started_ = true;
  }
  NvmlCount count = 0;
  const NvmlReturn result = nvml_.device_count(&count);
  if (result != kNvmlSuccess) {
    started_ = false;  // a driver that was taken out and put back wants to be greeted again
    return base::fail(base::ErrorCode::kUnavailable,
                      "the NVIDIA driver cannot be used: " + nvml_.explain(result));
  }
  return std::min(count, kGpusMax);
}

void NvmlLibrary::add_instances(FoundGpus& found, const FoundGpu& whole) {
  unsigned count = 0;
  if (nvml_.mig_count(whole.handle, &count) != kNvmlSuccess) return;
  for (unsigned i = 0; i < count && found.gpus.size() < kGpusMax; ++i) {
    FoundGpu instance{.handle = nullptr, .physical = whole.handle, .reading = {}};
    if (nvml_.mig_by_index(whole.handle, i, &instance.handle) != kNvmlSuccess) continue;
    if (read_uuid(nvml_, instance.handle, instance.reading.uuid) != kNvmlSuccess) continue;
    instance.reading.index = whole.reading.index;
    instance.reading.id = whole.reading.id + ":" + std::to_string(i);
    instance.reading.name = read_name(nvml_, instance.handle);
    instance.reading.parent = whole.reading.uuid;
    found.gpus.push_back(std::move(instance));
  }
}

// If nothing was known at this place, nobody can say which GPU it is that is lost.
void NvmlLibrary::add_lost(FoundGpus& found, NvmlCount index, NvmlReturn result) const {
  for (FoundGpu lost : last_.gpus) {
    if (lost.reading.index != index) continue;
    lost.reading.trouble = nvml_.explain(result);
    lost.reading.lost = result == kNvmlGpuIsLost;
    found.gpus.push_back(std::move(lost));
  }
}

void NvmlLibrary::add_gpu(FoundGpus& found, NvmlCount index) {
  FoundGpu gpu;
  gpu.reading.index = index;
  gpu.reading.id = std::to_string(index);
  NvmlReturn result = nvml_.device_by_index(index, &gpu.handle);
  if (result == kNvmlSuccess) result = read_uuid(nvml_, gpu.handle, gpu.reading.uuid);
  if (result != kNvmlSuccess) return add_lost(found, index, result);
  gpu.physical = gpu.handle;
  gpu.reading.name = read_name(nvml_, gpu.handle);
  found.physical.push_back(gpu);
  if (is_in_mig_mode(nvml_, gpu.handle)) {
    add_instances(found, gpu);
  } else {
    found.gpus.push_back(std::move(gpu));
  }
}

// Looked at once for each set of GPUs: it takes a call for each pair, and does not change.
void NvmlLibrary::add_topology(FoundGpus& found) {
  const bool same =
      std::ranges::equal(found.gpus, last_.gpus, [](const FoundGpu& now, const FoundGpu& then) {
        return now.reading.uuid == then.reading.uuid && now.handle == then.handle &&
               then.reading.trouble.empty();
      });
  for (std::size_t i = 0; i < found.gpus.size(); ++i) {
    GpuReading& reading = found.gpus[i].reading;
    if (same) {
      reading.numa_node = last_.gpus[i].reading.numa_node;
      reading.nvlink_peers = last_.gpus[i].reading.nvlink_peers;
      continue;
    }
    reading.numa_node = find_numa_node(nvml_, found.gpus[i].physical);
    if (!reading.parent.empty()) continue;  // instances have no links
    for (std::size_t j = 0; j < i; ++j) {
      GpuReading& other = found.gpus[j].reading;
      if (other.parent.empty() &&
          linked_by_nvlink(nvml_, found.gpus[i].handle, found.gpus[j].handle)) {
        reading.nvlink_peers.push_back(other.uuid);
        other.nvlink_peers.push_back(reading.uuid);
      }
    }
  }
}

base::Result<FoundGpus> NvmlLibrary::enumerate() {
  AIRLOCK_ASSIGN(const NvmlCount count, start());
  FoundGpus found;
  found.nvml = nvml_;
  std::array<char, kNvmlVersionBytes> driver{};
  if (nvml_.driver_version != nullptr &&
      nvml_.driver_version(driver.data(), driver.size()) == kNvmlSuccess) {
    found.driver = driver.data();
  }
  for (NvmlCount index = 0; index < count; ++index) add_gpu(found, index);
  add_topology(found);
  if (found.physical.size() < last_.physical.size()) {
    // What is lost stays known, by the place that it had.
    for (const FoundGpu& earlier : last_.physical) {
      const auto has_index = [&earlier](const FoundGpu& gpu) {
        return gpu.reading.index == earlier.reading.index;
      };
      if (std::ranges::none_of(found.physical, has_index)) found.physical.push_back(earlier);
    }
  }
  last_ = found;
  return found;
}

std::vector<XidEvent> NvmlLibrary::listen(const FoundGpus& found) {
  const NvmlFunctions& nvml = found.nvml;
  std::vector<XidEvent> heard;
  if (nvml.event_set_create == nullptr || nvml.event_register == nullptr ||
      nvml.event_wait == nullptr) {
    return heard;
  }
  if (events_ == nullptr && nvml.event_set_create(&events_) != kNvmlSuccess) {
    events_ = nullptr;
    return heard;
  }
  for (const FoundGpu& gpu : found.physical) {
    if (registered_.contains(gpu.reading.uuid)) continue;
    if (nvml.event_register(gpu.handle, kNvmlXidEvents, events_) == kNvmlSuccess) {
      registered_.insert(gpu.reading.uuid);
    }
  }
  while (heard.size() < kEventsMax) {
    NvmlEventData event{};
    if (nvml.event_wait(events_, &event, /*milliseconds=*/0) != kNvmlSuccess) break;
    if (event.type != kNvmlXidEvents) continue;
    for (const FoundGpu& gpu : found.physical) {
      if (gpu.handle == event.device) heard.push_back({gpu.reading.uuid, event.data});
    }
  }
  return heard;
}

}  // namespace airlock::gpu
