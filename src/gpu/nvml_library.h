// NvmlLibrary: what is asked of the library as a whole. Its calls may hang: made on a worker.
//
// Not for two threads at once, but for `listen`, which is called by another one.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "gpu/nvml_device.h"

namespace airlock::gpu {

struct FoundGpus {
  NvmlFunctions nvml;
  std::string driver;
  std::vector<FoundGpu> gpus;
  std::vector<FoundGpu> physical;  // those that report events
};

class NvmlLibrary {
 public:
  explicit NvmlLibrary(std::string path) : path_(std::move(path)) {}

  // Loads the library if it is not. A GPU that is there and lost keeps the identity that it had.
  base::Result<FoundGpus> enumerate();
  // What was reported of these GPUs since the last call.
  std::vector<XidEvent> listen(const FoundGpus& found);

 private:
  base::Result<NvmlCount> start();
  void add_gpu(FoundGpus& found, NvmlCount index);
  void add_lost(FoundGpus& found, NvmlCount index, NvmlReturn result) const;
  void add_instances(FoundGpus& found, const FoundGpu& whole);
  void add_topology(FoundGpus& found);

  const std::string path_;
  NvmlFunctions nvml_;
  bool loaded_ = false;
  bool started_ = false;
  FoundGpus last_;

  // Of `listen`.
  NvmlEventSet events_ = nullptr;
  std::set<std::string> registered_;
};

}  // namespace airlock::gpu
