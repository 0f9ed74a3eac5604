// NVML's binary interface, as much of it as Airlock uses: types and numbers, no functions.
//
// Every layout and number here is that of nvml.h as NVIDIA publishes it (go-nvml: gen/nvml/nvml.h,
// and the NVML API reference), where the names are the same after "nvml": NvmlMemoryV2 is
// nvmlMemory_v2_t. They are part of a stable interface: what changes gets a new name or version.
// Values; nothing here is called. The functions are in nvml_functions.h.
#pragma once

#include <cstdint>

namespace airlock::gpu {

using NvmlReturn = int;      // nvmlReturn_t
using NvmlDevice = void*;    // nvmlDevice_t: a handle, owned by NVML
using NvmlEventSet = void*;  // nvmlEventSet_t
using NvmlCount = unsigned int;
using NvmlLong = unsigned long long;

inline constexpr NvmlReturn kNvmlSuccess = 0;
inline constexpr NvmlReturn kNvmlUninitialized = 1;
inline constexpr NvmlReturn kNvmlNotFound = 6;
inline constexpr NvmlReturn kNvmlInsufficientSize = 7;
inline constexpr NvmlReturn kNvmlDriverNotLoaded = 9;
inline constexpr NvmlReturn kNvmlTimeout = 10;
inline constexpr NvmlReturn kNvmlGpuIsLost = 15;

inline constexpr unsigned kNvmlUuidBytes = 96;     // NVML_DEVICE_UUID_V2_BUFFER_SIZE
inline constexpr unsigned kNvmlNameBytes = 96;     // NVML_DEVICE_NAME_V2_BUFFER_SIZE
inline constexpr unsigned kNvmlVersionBytes = 80;  // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE
inline constexpr unsigned kNvmlLinksMax = 18;      // NVML_NVLINK_MAX_LINKS

inline constexpr int kNvmlTemperatureGpu = 0;     // NVML_TEMPERATURE_GPU
inline constexpr int kNvmlUncorrectedErrors = 1;  // NVML_MEMORY_ERROR_TYPE_UNCORRECTED
inline constexpr int kNvmlVolatileErrors = 0;     // NVML_VOLATILE_ECC: since the driver was loaded
inline constexpr int kNvmlP2pCapsNvlink = 2;      // NVML_P2P_CAPS_INDEX_NVLINK
inline constexpr int kNvmlP2pOk = 0;              // NVML_P2P_STATUS_OK
inline constexpr unsigned kNvmlAffinityNode = 0;  // NVML_AFFINITY_SCOPE_NODE
inline constexpr unsigned kNvmlMigEnabled = 1;    // NVML_DEVICE_MIG_ENABLE
inline constexpr int kNvmlEnabled = 1;            // NVML_FEATURE_ENABLED
inline constexpr NvmlLong kNvmlXidEvents = 0x8;   // nvmlEventTypeXidCriticalError

struct NvmlMemory {
  NvmlLong total;
  NvmlLong free;
  NvmlLong used;  // with what the driver keeps for itself
};

struct NvmlMemoryV2 {
  unsigned version;
  NvmlLong total;
  NvmlLong reserved;
  NvmlLong free;
  NvmlLong used;  // without it
};
// NVML_STRUCT_VERSION(Memory, 2)
inline constexpr unsigned kNvmlMemoryV2 = sizeof(NvmlMemoryV2) | 2u << 24;

struct NvmlUtilization {
  unsigned gpu;
  unsigned memory;
};

struct NvmlProcessV1 {
  unsigned pid;
  NvmlLong used_memory;
};

// Of the calls with _v2 and _v3.
struct NvmlProcessV2 {
  unsigned pid;
  NvmlLong used_memory;
  unsigned gpu_instance;
  unsigned compute_instance;
};

struct NvmlPciInfo {
  char legacy_bus_id[16];
  unsigned domain;
  unsigned bus;
  unsigned device;
  unsigned pci_device_id;
  unsigned pci_subsystem_id;
  char bus_id[32];
};

struct NvmlEventData {
  NvmlDevice device;
  NvmlLong type;
  NvmlLong data;  // the Xid
  unsigned gpu_instance;
  unsigned compute_instance;
};

static_assert(sizeof(NvmlMemory) == 24 && sizeof(NvmlMemoryV2) == 40);
static_assert(sizeof(NvmlProcessV1) == 16 && sizeof(NvmlProcessV2) == 24);
static_assert(sizeof(NvmlPciInfo) == 68 && sizeof(NvmlEventData) == 32);

}  // namespace airlock::gpu
