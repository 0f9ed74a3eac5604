// FakeSource: a host of GPUs made of values, for the tests of the pool.
//
// A test changes `host`, and the next reading says so; Xids are told once. Where several threads
// are about, `mutex` is held for that.
#pragma once

#include <mutex>
#include <string>
#include <utility>

#include "gpu/reading.h"

namespace airlock::gpu {

// "GPU-3"
inline std::string uuid_of(std::uint32_t index) { return "GPU-" + std::to_string(index); }

class FakeSource final : public NvmlSource {
 public:
  enum class Links { kAll, kQuads, kNone };

  // Idle H200s, four on each NUMA node.
  explicit FakeSource(std::uint32_t count, Links links = Links::kAll) {
    for (std::uint32_t i = 0; i < count; ++i) {
      GpuReading gpu;
      gpu.uuid = uuid_of(i);
      gpu.index = i;
      gpu.id = std::to_string(i);
      gpu.name = "NVIDIA H200";
      gpu.memory_total = base::gibibytes(140);
      gpu.memory_used = base::mebibytes(4);
      gpu.uncorrected_errors = 0;
      gpu.numa_node = i / 4;
      for (std::uint32_t j = 0; j < count; ++j) {
        const bool linked = links == Links::kAll || (links == Links::kQuads && i / 4 == j / 4);
        if (i != j && linked) gpu.nvlink_peers.push_back(uuid_of(j));
      }
      host.gpus.push_back(std::move(gpu));
    }
  }

  HostReading read() override {
    const std::lock_guard lock(mutex);
    HostReading now = host;
    host.xids.clear();
    return now;
  }

  std::mutex mutex;
  HostReading host;
};

}  // namespace airlock::gpu
