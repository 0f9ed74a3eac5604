// GPUs: whether jobs can have those of this host. Looks at files only: what NVML itself says is the
// service's to find out (gpu/nvml.h), for a driver may hang.
#include <array>
#include <span>
#include <string>

#include "host/checks.h"
#include "host/surroundings.h"

namespace airlock::host {

namespace {

constexpr std::string_view kGroup = "gpu";
constexpr std::string_view kMeaning =
    "the service has no GPUs for jobs; 0x jobs and runs need none";
constexpr std::size_t kNodesMax = 64;

constexpr std::array kLibraries = {"/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
                                   "/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1",
                                   "/usr/lib64/libnvidia-ml.so.1", "/usr/lib/libnvidia-ml.so.1",
                                   "/usr/lib/wsl/lib/libnvidia-ml.so.1"};
// Where nvidia-ctk writes, and where its service does.
constexpr std::array kCdiSpecs = {"/etc/cdi/nvidia.yaml", "/etc/cdi/nvidia.json",
                                  "/var/run/cdi/nvidia.yaml", "/var/run/cdi/nvidia.json"};

std::string first_of(HostProbe& probe, std::span<const char* const> paths) {
  for (const char* const path : paths) {
    if (probe.facts(path)) return path;
  }
  return {};
}

std::size_t count_nodes(HostProbe& probe) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < kNodesMax; ++i) {
    const auto facts = probe.facts("/dev/nvidia" + std::to_string(i));
    count += facts && facts->kind == FileKind::kCharacterDevice ? 1 : 0;
  }
  return count;
}

}  // namespace

Findings check_gpus(HostProbe& probe) {
  const bool has_driver = probe.facts("/proc/driver/nvidia/version").has_value();
  const std::string library = first_of(probe, kLibraries);
  if (!has_driver && library.empty()) {
    return {ok_finding(kGroup, "gpus", "no NVIDIA driver", "jobs have the weight class 0x")};
  }
  if (!has_driver) {
    return {warn_finding(kGroup, "gpus", "the driver is installed and not loaded",
                         std::string(kMeaning), sudo_prefix(probe) + "modprobe nvidia")};
  }
  const std::size_t nodes = count_nodes(probe);
  if (nodes == 0 || !probe.facts("/dev/nvidiactl")) {
    return {warn_finding(kGroup, "gpus", "the driver is loaded and has no device nodes",
                         std::string(kMeaning), sudo_prefix(probe) + "nvidia-modprobe -c 0 -u")};
  }
  const std::string seen = std::to_string(nodes) + " of NVIDIA";
  if (library.empty()) {
    return {warn_finding(
        kGroup, "gpus", seen + ", and no libnvidia-ml.so.1 where it usually is",
        std::string(kMeaning),
        "set hardware.nvml_path, or " + sudo_prefix(probe) + "apt-get install -y libnvidia-ml1")};
  }
  const std::string spec = first_of(probe, kCdiSpecs);
  if (spec.empty()) {
    return {
        warn_finding(kGroup, "gpus", seen + ", and no CDI spec where it usually is",
                     "jobs with GPUs fail: nothing says what a sandbox needs to use them",
                     sudo_prefix(probe) + "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml")};
  }
  return {ok_finding(kGroup, "gpus", seen + ", " + library + ", " + spec)};
}

}  // namespace airlock::host
