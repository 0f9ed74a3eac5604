// PoolLeases: a gpu::Pool as jobs lease from it, and who looks after the pool.
//
// A thread of its own has the pool look at the host: every few seconds, and oftener while a GPU is
// being cleaned. Jobs get GPUs of one type, that of most of the host's when the first are seen;
// others are named in the note. Faults are kept in a folder, so that they outlive the daemon
// (gpu/quarantine_folder.h). The pool is borrowed. Safe from any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gpu/pool.h"
#include "gpu/quarantine_folder.h"
#include "runner/jobs/gpu_leases.h"

namespace airlock::runner {

inline constexpr std::chrono::milliseconds kGpuLookEvery{5'000};
inline constexpr std::chrono::milliseconds kGpuCleaningLookEvery{250};

struct PoolLeasesParts {
  std::filesystem::path quarantine;  // folder; made if it is not there
  // Whether the launcher has a device of this name: "nvidia.com/gpu=GPU-...".
  std::function<bool(std::string_view name)> has_device;
  // Of changes, of GPU or holder; any thread.
  std::function<void(std::string_view event, std::string_view subject, std::string_view detail)>
      log;
};

class PoolLeases final : public GpuLeases {
 public:
  // Looks once before it returns: for as long as a driver may take that does not answer.
  static base::Result<std::unique_ptr<PoolLeases>> open(gpu::Pool& pool, PoolLeasesParts parts);
  // As open() has made sure that it works.
  PoolLeases(gpu::Pool& pool, gpu::QuarantineFolder folder, PoolLeasesParts parts);
  ~PoolLeases() override;

  GpuCounts counts() override;
  base::Result<std::vector<model::AssignedGpu>> lease(std::uint32_t count,
                                                      const std::string& holder) override;
  base::Status restore(const std::string& holder,
                       std::span<const model::AssignedGpu> gpus) override;
  void release(const std::string& holder) override;
  // By UUID where the host's CDI specs have that, else by index.
  std::vector<std::string> device_names(std::span<const model::AssignedGpu> gpus) override;
  std::vector<std::string> take_faults(const std::string& holder) override;
  std::vector<std::string> look_for_faults(const std::string& holder) override;

 private:
  void look();
  void look_again_and_again();
  void log_changes(const std::vector<gpu::GpuStatus>& now);
  std::string type() const;

  gpu::Pool& pool_;
  const PoolLeasesParts parts_;

  // Of whoever looks.
  gpu::QuarantineFolder folder_;
  std::map<std::string, std::string> told_;  // state and reason, by UUID
  std::string folder_trouble_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::string type_;
  bool look_now_ = false;
  bool ending_ = false;
  std::thread looking_;
};

}  // namespace airlock::runner
