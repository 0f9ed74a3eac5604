// GpuLeases: the GPUs of this host as jobs lease them.
//
// Exclusive, by UUID, for as long as a job holds them. Whoever knows GPUs implements it (gpu/); a
// host without any has NoGpus. Safe from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/job.h"

namespace airlock::runner {

struct GpuCounts {
  std::uint32_t total = 0;  // that can be leased sooner or later
  std::uint32_t free = 0;   // that can be leased now
  std::string type;         // "H200"; empty: there are none
  std::string note;         // why there are none, or fewer than the host has
  bool known = true;        // false: the driver does not answer, and there may be some
};

class GpuLeases {
 public:
  virtual ~GpuLeases() = default;
  virtual GpuCounts counts() = 0;
  // All or nothing; exclusive until release(holder). kUnavailable: not so many are free.
  virtual base::Result<std::vector<model::AssignedGpu>> lease(std::uint32_t count,
                                                              const std::string& holder) = 0;
  // Of a job that was found running.
  virtual base::Status restore(const std::string& holder,
                               std::span<const model::AssignedGpu> gpus) = 0;
  virtual void release(const std::string& holder) = 0;  // unknown holders are ignored
  // What a sandbox has to be given: names of the launcher's devices.
  virtual std::vector<std::string> device_names(std::span<const model::AssignedGpu> gpus) = 0;
  // What has ended the use of the holder's GPUs, since the last call:
  // "GPU 2 (GPU-...): Xid 79: ...". What passes by itself is not told.
  virtual std::vector<std::string> take_faults(const std::string&) { return {}; }
  // The same, and they are looked at first. May take as long as a driver that does not answer.
  virtual std::vector<std::string> look_for_faults(const std::string& holder) {
    return take_faults(holder);
  }
};

class NoGpus final : public GpuLeases {
 public:
  explicit NoGpus(std::string why) : why_(std::move(why)) {}
  GpuCounts counts() override {
    return {.total = 0, .free = 0, .type = {}, .note = why_, .known = true};
  }
  base::Result<std::vector<model::AssignedGpu>> lease(std::uint32_t count,
                                                      const std::string&) override {
    if (count == 0) return std::vector<model::AssignedGpu>();
    return base::fail(base::ErrorCode::kUnavailable, why_);
  }
  base::Status restore(const std::string&, std::span<const model::AssignedGpu>) override {
    return {};
  }
  void release(const std::string&) override {}
  std::vector<std::string> device_names(std::span<const model::AssignedGpu>) override { return {}; }

 private:
  std::string why_;
};

}  // namespace airlock::runner
