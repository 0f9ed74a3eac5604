// What is known of the GPUs of a host at one moment, and who finds it out.
//
// A GpuReading is a device that can be leased: a whole GPU, or an instance of one in MIG mode,
// which then takes the whole one's place. Values. An NvmlSource looks at the host each time it is
// asked and never takes much longer than its own deadline.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"

namespace airlock::gpu {

struct GpuReading {
  std::string uuid;         // "GPU-...", "MIG-..."
  std::uint32_t index = 0;  // NVML's; for an instance, that of its GPU
  std::string id;           // "3"; of an instance "3:1", as CDI names it
  std::string name;         // "NVIDIA H200", "NVIDIA H200 MIG 1g.18gb"
  std::string parent;       // UUID of the GPU of an instance; empty: a whole one
  // Why nothing below is known of it: "the driver does not answer". Empty: it is known.
  std::string trouble;
  bool lost = false;  // with `trouble`: NVML says that it is gone for good
  base::ByteCount memory_total;
  base::ByteCount memory_used;
  std::optional<std::uint32_t> utilization_percent;
  std::optional<std::uint32_t> temperature_celsius;
  std::optional<std::uint32_t> power_milliwatts;
  std::vector<std::uint32_t> processes;             // as this process sees them; each once
  std::optional<std::uint64_t> uncorrected_errors;  // of its memory since the driver was loaded
  bool repair_pending = false;                      // rows or pages that a reset would replace
  bool repair_failed = false;
  std::optional<std::uint32_t> numa_node;
  std::vector<std::string> nvlink_peers;  // UUIDs of GPUs that NVLink reaches, switches included
};

// An error that the driver reported.
struct XidEvent {
  std::string uuid;  // of the GPU, also if it is in MIG mode
  std::uint64_t code = 0;
};

struct HostReading {
  std::string unavailable;  // why there are no GPUs at all; empty: see below
  std::string driver;       // "550.90.07"
  std::vector<GpuReading> gpus;
  std::vector<XidEvent> xids;  // since the last reading
};

class NvmlSource {
 public:
  virtual ~NvmlSource() = default;
  // By one thread at a time.
  virtual HostReading read() = 0;
};

}  // namespace airlock::gpu
