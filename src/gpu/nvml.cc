#include "gpu/nvml.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "gpu/nvml_library.h"

namespace airlock::gpu {

using Deadline = std::chrono::steady_clock::time_point;

class Nvml::Library : public NvmlLibrary {
  using NvmlLibrary::NvmlLibrary;
};
struct Nvml::Found : FoundGpus {
  explicit Found(FoundGpus found) : FoundGpus(std::move(found)) {}
};

Nvml::Nvml(NvmlOptions options)
    : options_(std::move(options)),
      library_(std::make_shared<Library>(options_.path)),
      heard_(std::make_shared<std::vector<XidEvent>>()) {}

Nvml::~Nvml() = default;

HostReading Nvml::read() {
  const Deadline deadline = std::chrono::steady_clock::now() + options_.answer_max;
  HostReading host;
  if (!enumerate(host, deadline)) return host;
  host.driver = found_->driver;
  const bool listens = begin_listening();
  ask_each(host, deadline);
  // What is heard while nobody waits any more is told next time.
  if (listens && listening_.wait_until(deadline)) host.xids = std::exchange(*heard_, {});
  return host;
}

bool Nvml::enumerate(HostReading& host, Deadline deadline) {
  struct Answer {
    base::Result<FoundGpus> found = base::fail(base::ErrorCode::kUnavailable, "");
  };
  const auto answer = std::make_shared<Answer>();
  const bool begun = enumerating_.try_begin(
      [library = library_, answer] { answer->found = library->enumerate(); });
  if (!begun || !enumerating_.wait_until(deadline)) {
    if (found_ == nullptr) {
      host.unavailable = kNoAnswer;
      return false;
    }
    host.driver = found_->driver;
    for (const FoundGpu& gpu : found_->gpus) {
      host.gpus.push_back(gpu.reading);
      host.gpus.back().trouble = kNoAnswer;
    }
    return false;
  }
  if (!answer->found) {
    host.unavailable = answer->found.error().to_string();
    return false;
  }
  found_ = std::make_shared<const Found>(std::move(*answer->found));
  if (found_->gpus.empty()) host.unavailable = "the NVIDIA driver has no GPU";
  return true;
}

void Nvml::ask_each(HostReading& host, Deadline deadline) {
  std::erase_if(asking_, [this](const auto& entry) {
    return std::ranges::none_of(
        found_->gpus, [&entry](const FoundGpu& gpu) { return gpu.reading.uuid == entry.first; });
  });
  std::vector<std::shared_ptr<GpuReading>> answers;
  for (const FoundGpu& gpu : found_->gpus) {
    auto answer = std::make_shared<GpuReading>(gpu.reading);
    const auto task = [found = found_, &gpu, answer] { *answer = read_gpu(found->nvml, gpu); };
    const bool lost = !gpu.reading.trouble.empty();
    answers.push_back(lost || asking_[gpu.reading.uuid].try_begin(task) ? answer : nullptr);
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const FoundGpu& gpu = found_->gpus[i];
    const bool lost = !gpu.reading.trouble.empty();
    if (lost || (answers[i] != nullptr && asking_[gpu.reading.uuid].wait_until(deadline))) {
      host.gpus.push_back(std::move(*answers[i]));
    } else {
      host.gpus.push_back(gpu.reading);
      host.gpus.back().trouble = kNoAnswer;
    }
  }
}

bool Nvml::begin_listening() {
  return listening_.try_begin([library = library_, found = found_, heard = heard_] {
    for (XidEvent& event : library->listen(*found)) heard->push_back(std::move(event));
  });
}

}  // namespace airlock::gpu
