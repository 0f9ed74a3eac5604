// NvmlFunctions: the functions of an NVML library that was loaded at run time.
//
// Airlock is not linked with NVML: a host without a driver has none. Only what is used is looked
// up; without one of the first group there is no inventory and the load fails, naming it; those of
// the second are null where a driver is too old to have them. The library stays loaded until the
// process ends, because a call may hang in it for ever. Functions of NVML may be called from any
// thread. Values.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "gpu/nvml_abi.h"

namespace airlock::gpu {

inline constexpr const char* kNvmlLibrary = "libnvidia-ml.so.1";

struct NvmlFunctions {
  // --- without which there are no GPUs ---
  NvmlReturn (*init)() = nullptr;
  NvmlReturn (*device_count)(NvmlCount*) = nullptr;
  NvmlReturn (*device_by_index)(NvmlCount, NvmlDevice*) = nullptr;
  NvmlReturn (*uuid)(NvmlDevice, char*, unsigned) = nullptr;
  NvmlReturn (*name)(NvmlDevice, char*, unsigned) = nullptr;
  NvmlReturn (*memory)(NvmlDevice, NvmlMemory*) = nullptr;
  const char* (*error_text)(NvmlReturn) = nullptr;
  // One of the two is there.
  NvmlReturn (*processes)(NvmlDevice, unsigned*, NvmlProcessV2*) = nullptr;
  NvmlReturn (*processes_v1)(NvmlDevice, unsigned*, NvmlProcessV1*) = nullptr;

  // --- null where the driver has none ---
  NvmlReturn (*graphics)(NvmlDevice, unsigned*, NvmlProcessV2*) = nullptr;
  NvmlReturn (*graphics_v1)(NvmlDevice, unsigned*, NvmlProcessV1*) = nullptr;
  NvmlReturn (*memory_v2)(NvmlDevice, NvmlMemoryV2*) = nullptr;
  NvmlReturn (*driver_version)(char*, unsigned) = nullptr;
  NvmlReturn (*utilization)(NvmlDevice, NvmlUtilization*) = nullptr;
  NvmlReturn (*temperature)(NvmlDevice, int, unsigned*) = nullptr;
  NvmlReturn (*power)(NvmlDevice, unsigned*) = nullptr;
  NvmlReturn (*ecc_errors)(NvmlDevice, int, int, NvmlLong*) = nullptr;
  NvmlReturn (*retired_pending)(NvmlDevice, int*) = nullptr;
  NvmlReturn (*remapped_rows)(NvmlDevice, unsigned*, unsigned*, unsigned*, unsigned*) = nullptr;
  NvmlReturn (*p2p_status)(NvmlDevice, NvmlDevice, int, int*) = nullptr;
  NvmlReturn (*link_state)(NvmlDevice, unsigned, int*) = nullptr;
  NvmlReturn (*link_remote)(NvmlDevice, unsigned, NvmlPciInfo*) = nullptr;
  NvmlReturn (*pci_info)(NvmlDevice, NvmlPciInfo*) = nullptr;
  NvmlReturn (*memory_affinity)(NvmlDevice, unsigned, unsigned long*, unsigned) = nullptr;
  NvmlReturn (*mig_mode)(NvmlDevice, unsigned*, unsigned*) = nullptr;
  NvmlReturn (*mig_count)(NvmlDevice, unsigned*) = nullptr;
  NvmlReturn (*mig_by_index)(NvmlDevice, unsigned, NvmlDevice*) = nullptr;
  NvmlReturn (*event_set_create)(NvmlEventSet*) = nullptr;
  NvmlReturn (*event_register)(NvmlDevice, NvmlLong, NvmlEventSet) = nullptr;
  NvmlReturn (*event_wait)(NvmlEventSet, NvmlEventData*, unsigned) = nullptr;

  // "GPU is lost (15)"
  std::string explain(NvmlReturn code) const;
};

// `path` as dlopen takes it. kUnavailable: there is no such library, or it lacks a function.
base::Result<NvmlFunctions> load_nvml(const std::string& path);

}  // namespace airlock::gpu
