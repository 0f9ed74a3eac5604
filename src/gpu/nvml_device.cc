#include "gpu/nvml_device.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

namespace airlock::gpu {
namespace {

constexpr std::size_t kBitsPerWord = std::numeric_limits<unsigned long>::digits;

template <typename Process>
NvmlReturn list_processes(NvmlReturn (*call)(NvmlDevice, unsigned*, Process*), NvmlDevice device,
                          std::vector<std::uint32_t>& pids) {
  // Twice the room that is told of: some drivers (525.60, 535.43) had larger entries for a while.
  std::vector<Process> room(std::size_t{2} * kProcessesMax);
  unsigned count = kProcessesMax;
  const NvmlReturn result = call(device, &count, room.data());
  if (result == kNvmlInsufficientSize) count = kProcessesMax;  // busy enough
  if (result != kNvmlSuccess && result != kNvmlInsufficientSize) return result;
  for (unsigned i = 0; i < std::min(count, kProcessesMax); ++i) pids.push_back(room[i].pid);
  return kNvmlSuccess;
}

std::string read_processes(const NvmlFunctions& nvml, NvmlDevice device, GpuReading& reading) {
  std::vector<std::uint32_t>& pids = reading.processes;
  NvmlReturn result = nvml.processes != nullptr ? list_processes(nvml.processes, device, pids)
                                                : list_processes(nvml.processes_v1, device, pids);
  if (result == kNvmlSuccess && nvml.graphics != nullptr) {
    (void)list_processes(nvml.graphics, device, pids);  // not every GPU has any
  } else if (result == kNvmlSuccess && nvml.graphics_v1 != nullptr) {
    (void)list_processes(nvml.graphics_v1, device, pids);
  }
  if (result != kNvmlSuccess) return "its processes cannot be told: " + nvml.explain(result);
  std::ranges::sort(pids);
  pids.erase(std::ranges::unique(pids).begin(), pids.end());
  return {};
}

std::string read_memory(const NvmlFunctions& nvml, NvmlDevice device, GpuReading& reading) {
  if (nvml.memory_v2 != nullptr) {
    NvmlMemoryV2 memory{};
    memory.version = kNvmlMemoryV2;
    if (nvml.memory_v2(device, &memory) == kNvmlSuccess) {
      reading.memory_total = base::ByteCount(memory.total);
      reading.memory_used = base::ByteCount(memory.used);
      return {};
    }
  }
  NvmlMemory memory{};
  const NvmlReturn result = nvml.memory(device, &memory);
  reading.lost = result == kNvmlGpuIsLost;
  if (result != kNvmlSuccess) return "its memory cannot be told: " + nvml.explain(result);
  reading.memory_total = base::ByteCount(memory.total);
  reading.memory_used = base::ByteCount(memory.used);
  return {};
}

void read_health(const NvmlFunctions& nvml, NvmlDevice device, GpuReading& reading) {
  NvmlLong errors = 0;
  if (nvml.ecc_errors != nullptr && nvml.ecc_errors(device, kNvmlUncorrectedErrors,
                                                    kNvmlVolatileErrors, &errors) == kNvmlSuccess) {
    reading.uncorrected_errors = errors;
  }
  unsigned corrected = 0;
  unsigned uncorrected = 0;
  unsigned pending = 0;
  unsigned failed = 0;
  if (nvml.remapped_rows != nullptr &&
      nvml.remapped_rows(device, &corrected, &uncorrected, &pending, &failed) == kNvmlSuccess) {
    reading.repair_pending = pending != 0;
    reading.repair_failed = failed != 0;
  }
  int retired_pending = 0;
  if (nvml.retired_pending != nullptr &&
      nvml.retired_pending(device, &retired_pending) == kNvmlSuccess) {
    reading.repair_pending = reading.repair_pending || retired_pending == kNvmlEnabled;
  }
}

void read_gauges(const NvmlFunctions& nvml, const FoundGpu& gpu, GpuReading& reading) {
  unsigned value = 0;
  NvmlUtilization utilization{};
  if (nvml.utilization != nullptr && nvml.utilization(gpu.handle, &utilization) == kNvmlSuccess) {
    reading.utilization_percent = utilization.gpu;
  }
  if (nvml.temperature != nullptr &&
      nvml.temperature(gpu.physical, kNvmlTemperatureGpu, &value) == kNvmlSuccess) {
    reading.temperature_celsius = value;
  }
  if (nvml.power != nullptr && nvml.power(gpu.physical, &value) == kNvmlSuccess) {
    reading.power_milliwatts = value;
  }
}

std::string text_of(const char* buffer, std::size_t bytes) {
  return std::string(buffer, ::strnlen(buffer, bytes));
}

// The PCI addresses that the active links of a device lead to.
std::vector<std::string> remote_addresses(const NvmlFunctions& nvml, NvmlDevice device) {
  std::vector<std::string> remotes;
  if (nvml.link_state == nullptr || nvml.link_remote == nullptr) return remotes;
  for (unsigned link = 0; link < kNvmlLinksMax; ++link) {
    int active = 0;
    NvmlPciInfo remote{};
    if (nvml.link_state(device, link, &active) == kNvmlSuccess && active == kNvmlEnabled &&
        nvml.link_remote(device, link, &remote) == kNvmlSuccess) {
      remotes.push_back(text_of(remote.bus_id, sizeof remote.bus_id));
    }
  }
  return remotes;
}

}  // namespace

GpuReading read_gpu(const NvmlFunctions& nvml, const FoundGpu& gpu) {
  GpuReading reading = gpu.reading;
  reading.trouble = read_memory(nvml, gpu.handle, reading);
  if (reading.trouble.empty()) reading.trouble = read_processes(nvml, gpu.handle, reading);
  if (!reading.trouble.empty()) return reading;
  read_health(nvml, gpu.physical, reading);
  read_gauges(nvml, gpu, reading);
  return reading;
}

NvmlReturn read_uuid(const NvmlFunctions& nvml, NvmlDevice device, std::string& uuid) {
  std::array<char, kNvmlUuidBytes> buffer{};
  const NvmlReturn result = nvml.uuid(device, buffer.data(), buffer.size());
  if (result == kNvmlSuccess) uuid = text_of(buffer.data(), buffer.size());
  return result;
}

std::string read_name(const NvmlFunctions& nvml, NvmlDevice device) {
  std::array<char, kNvmlNameBytes> buffer{};
  if (nvml.name(device, buffer.data(), buffer.size()) != kNvmlSuccess) return {};
  return text_of(buffer.data(), buffer.size());
}

std::optional<std::uint32_t> find_numa_node(const NvmlFunctions& nvml, NvmlDevice device) {
  if (nvml.memory_affinity == nullptr) return std::nullopt;
  std::array<unsigned long, kNumaNodesMax / kBitsPerWord> nodes{};
  if (nvml.memory_affinity(device, nodes.size(), nodes.data(), kNvmlAffinityNode) != kNvmlSuccess) {
    return std::nullopt;
  }
  for (std::size_t word = 0; word < nodes.size(); ++word) {
    if (nodes[word] != 0) {
      return static_cast<std::uint32_t>(word * kBitsPerWord) +
             static_cast<std::uint32_t>(std::countr_zero(nodes[word]));
    }
  }
  return std::nullopt;
}

bool linked_by_nvlink(const NvmlFunctions& nvml, NvmlDevice one, NvmlDevice other) {
  int status = 0;
  if (nvml.p2p_status != nullptr &&
      nvml.p2p_status(one, other, kNvmlP2pCapsNvlink, &status) == kNvmlSuccess) {
    return status == kNvmlP2pOk;
  }
  NvmlPciInfo address{};
  if (nvml.pci_info == nullptr || nvml.pci_info(other, &address) != kNvmlSuccess) return false;
  const std::string direct = text_of(address.bus_id, sizeof address.bus_id);
  const std::vector<std::string> here = remote_addresses(nvml, one);
  const std::vector<std::string> there = remote_addresses(nvml, other);
  return std::ranges::any_of(here, [&](const std::string& remote) {
    return remote == direct || std::ranges::find(there, remote) != there.end();  // a switch of both
  });
}

}  // namespace airlock::gpu
