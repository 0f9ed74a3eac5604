// Nvml: the GPUs of this host, by NVIDIA's management library.
//
// The library is loaded when it is there: a driver that is installed later is found later. Each GPU
// is asked on a thread of its own and each reading has a deadline, because a sick GPU makes NVML
// hang: it is then reported as one that does not answer, and so it is until its call returns. Where
// the library itself hangs, all GPUs do not answer. Threads that hang are left behind at the end.
// One reading at a time.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gpu/deadline_worker.h"
#include "gpu/nvml_functions.h"
#include "gpu/reading.h"

namespace airlock::gpu {

struct NvmlOptions {
  std::string path;  // of the library; empty: where the loader finds libnvidia-ml.so.1
  std::chrono::milliseconds answer_max{5'000};
};

inline constexpr std::uint32_t kGpusMax = 256;  // with instances
inline constexpr std::string_view kNoAnswer = "the driver does not answer";

class Nvml final : public NvmlSource {
 public:
  explicit Nvml(NvmlOptions options);
  ~Nvml() override;

  HostReading read() override;

 private:
  class Library;
  struct Found;

  bool enumerate(HostReading& host, std::chrono::steady_clock::time_point deadline);
  void ask_each(HostReading& host, std::chrono::steady_clock::time_point deadline);
  bool begin_listening();

  NvmlOptions options_;
  std::shared_ptr<Library> library_;  // of whatever runs on a worker
  std::shared_ptr<const Found> found_;
  DeadlineWorker enumerating_;
  DeadlineWorker listening_;
  std::map<std::string, DeadlineWorker, std::less<>> asking_;  // by UUID
  std::shared_ptr<std::vector<XidEvent>> heard_;               // by `listening_`, not yet told
};

}  // namespace airlock::gpu
