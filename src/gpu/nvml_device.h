// One GPU as NVML tells of it: calls that may hang, so that they are made on a DeadlineWorker.
//
// A GPU that does not say how much of its memory is used, or by which processes, is in trouble: it
// cannot be shown to be clean. What else a driver does not know is absent. Any thread.
#pragma once

#include <vector>

#include "base/result.h"
#include "gpu/nvml_functions.h"
#include "gpu/reading.h"

namespace airlock::gpu {

inline constexpr std::uint32_t kProcessesMax = 4'096;  // that are asked for, of one GPU
inline constexpr std::uint32_t kNumaNodesMax = 1'024;

struct FoundGpu {
  NvmlDevice handle = nullptr;
  NvmlDevice physical = nullptr;  // the GPU of an instance; else the same
  GpuReading reading;             // what does not change: uuid, index, id, name, parent, topology
};

// Adds what changes to what is known.
GpuReading read_gpu(const NvmlFunctions& nvml, const FoundGpu& gpu);

// Unless it is kNvmlSuccess that is given back, `uuid` stays as it was.
NvmlReturn read_uuid(const NvmlFunctions& nvml, NvmlDevice device, std::string& uuid);
std::string read_name(const NvmlFunctions& nvml, NvmlDevice device);

// The NUMA node whose memory is nearest. Not nvmlDeviceGetNumaNodeId, which is about GPUs that are
// nodes themselves.
std::optional<std::uint32_t> find_numa_node(const NvmlFunctions& nvml, NvmlDevice device);
// Over links of their own or through switches.
bool linked_by_nvlink(const NvmlFunctions& nvml, NvmlDevice one, NvmlDevice other);

}  // namespace airlock::gpu
