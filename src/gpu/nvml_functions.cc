#include "gpu/nvml_functions.h"

#include <dlfcn.h>

#include "base/library_symbols.h"

namespace airlock::gpu {
namespace {

void find_required(base::LibrarySymbols& symbols, NvmlFunctions& nvml) {
  symbols.require(nvml.init, {"nvmlInit_v2"});
  symbols.require(nvml.device_count, {"nvmlDeviceGetCount_v2"});
  symbols.require(nvml.device_by_index, {"nvmlDeviceGetHandleByIndex_v2"});
  symbols.require(nvml.uuid, {"nvmlDeviceGetUUID"});
  symbols.require(nvml.name, {"nvmlDeviceGetName"});
  symbols.require(nvml.memory, {"nvmlDeviceGetMemoryInfo"});
  symbols.require(nvml.error_text, {"nvmlErrorString"});
  if (!symbols.find(nvml.processes, {"nvmlDeviceGetComputeRunningProcesses_v3",
                                     "nvmlDeviceGetComputeRunningProcesses_v2"}) &&
      !symbols.find(nvml.processes_v1, {"nvmlDeviceGetComputeRunningProcesses"})) {
    symbols.set_missing("nvmlDeviceGetComputeRunningProcesses");
  }
}

void find_optional(base::LibrarySymbols& symbols, NvmlFunctions& nvml) {
  if (!symbols.find(nvml.graphics, {"nvmlDeviceGetGraphicsRunningProcesses_v3",
                                    "nvmlDeviceGetGraphicsRunningProcesses_v2"})) {
    symbols.find(nvml.graphics_v1, {"nvmlDeviceGetGraphicsRunningProcesses"});
  }
  symbols.find(nvml.memory_v2, {"nvmlDeviceGetMemoryInfo_v2"});
  symbols.find(nvml.driver_version, {"nvmlSystemGetDriverVersion"});
  symbols.find(nvml.utilization, {"nvmlDeviceGetUtilizationRates"});
  symbols.find(nvml.temperature, {"nvmlDeviceGetTemperature"});
  symbols.find(nvml.power, {"nvmlDeviceGetPowerUsage"});
  symbols.find(nvml.ecc_errors, {"nvmlDeviceGetTotalEccErrors"});
  symbols.find(nvml.retired_pending, {"nvmlDeviceGetRetiredPagesPendingStatus"});
  symbols.find(nvml.remapped_rows, {"nvmlDeviceGetRemappedRows"});
  symbols.find(nvml.p2p_status, {"nvmlDeviceGetP2PStatus"});
  symbols.find(nvml.link_state, {"nvmlDeviceGetNvLinkState"});
  symbols.find(nvml.link_remote, {"nvmlDeviceGetNvLinkRemotePciInfo_v2"});
  symbols.find(nvml.pci_info, {"nvmlDeviceGetPciInfo_v3"});
  symbols.find(nvml.memory_affinity, {"nvmlDeviceGetMemoryAffinity"});
  symbols.find(nvml.mig_mode, {"nvmlDeviceGetMigMode"});
  symbols.find(nvml.mig_count, {"nvmlDeviceGetMaxMigDeviceCount"});
  symbols.find(nvml.mig_by_index, {"nvmlDeviceGetMigDeviceHandleByIndex"});
  symbols.find(nvml.event_set_create, {"nvmlEventSetCreate"});
  symbols.find(nvml.event_register, {"nvmlDeviceRegisterEvents"});
  symbols.find(nvml.event_wait, {"nvmlEventSetWait_v2"});
}

}  // namespace

std::string NvmlFunctions::explain(NvmlReturn code) const {
  const char* const text = error_text == nullptr ? nullptr : error_text(code);
  return std::string(text == nullptr ? "error of NVML" : text) + " (" + std::to_string(code) + ")";
}

base::Result<NvmlFunctions> load_nvml(const std::string& path) {
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const why = ::dlerror();
    return base::fail(base::ErrorCode::kUnavailable,
                      "no NVIDIA driver was found: " + std::string(why == nullptr ? path : why),
                      "hardware.nvml_path names the driver's libnvidia-ml.so.1");
  }
  NvmlFunctions nvml;
  base::LibrarySymbols symbols(library);
  find_required(symbols, nvml);
  find_optional(symbols, nvml);
  if (!symbols.missing().empty()) {
    return base::fail(base::ErrorCode::kUnavailable,
                      path + " is no NVML library that can be used: it lacks " + symbols.missing());
  }
  return nvml;
}

}  // namespace airlock::gpu
