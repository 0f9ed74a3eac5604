/* A stand-in for libnvidia-ml.so.1: the functions that src/gpu/nvml_functions.cc looks up, with the
 * layouts of nvml.h. Eight H200s of 141 GB on two NUMA nodes; see state.h for how a test changes
 * them. With STANDIN_OLD it lacks what old drivers lack. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "state.h"

#define API __attribute__((visibility("default")))

enum {
  SUCCESS = 0,
  INVALID_ARGUMENT = 2,
  NOT_SUPPORTED = 3,
  NOT_FOUND = 6,
  INSUFFICIENT_SIZE = 7,
  TIMEOUT = 10,
  GPU_IS_LOST = 15,
};

static const unsigned long long kTotal = 143771ull << 20;
static const unsigned long long kReserved = 612ull << 20;

/* A handle: that of GPU i is &handles[i][kInstances], that of its instance j &handles[i][j]. */
struct handle {
  unsigned gpu;
  unsigned instance;
};
static struct handle handles[kGpus][kInstances + 1];

static struct handle* handle_of(unsigned gpu, unsigned instance) { return &handles[gpu][instance]; }

__attribute__((constructor)) static void make_handles(void) {
  for (unsigned i = 0; i < kGpus; ++i) {
    for (unsigned j = 0; j <= kInstances; ++j) handles[i][j] = (struct handle){i, j};
  }
}

static void wait_while_library_hangs(struct state* state) {
  read_state(state);
  while (state->hang) {
    usleep(10000);
    read_state(state);
  }
}

/* The state of a GPU, as soon as it does not hang. */
static int look(const struct handle* handle, struct state* state, struct gpu** gpu) {
  read_state(state);
  *gpu = &state->gpus[handle->gpu];
  while ((*gpu)->hang) {
    usleep(10000);
    read_state(state);
  }
  return (*gpu)->lost || handle->gpu >= state->devices ? GPU_IS_LOST : SUCCESS;
}

static struct tenant* tenant_of(const struct handle* handle, struct gpu* gpu) {
  return handle->instance < kInstances ? &gpu->instances[handle->instance] : &gpu->self;
}

API int nvmlInit_v2(void) {
  struct state state;
  wait_while_library_hangs(&state);
  return state.init_error;
}

API const char* nvmlErrorString(int code) {
  switch (code) {
    case SUCCESS: return "Success";
    case 9: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
  }
}

API int nvmlSystemGetDriverVersion(char* text, unsigned size) {
  struct state state;
  read_state(&state);
  snprintf(text, size, "%s", state.driver);
  return SUCCESS;
}

API int nvmlDeviceGetCount_v2(unsigned* count) {
  struct state state;
  wait_while_library_hangs(&state);
  *count = state.devices;
  return state.init_error;
}

API int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct handle** handle) {
  struct state state;
  read_state(&state);
  if (index >= state.devices) return INVALID_ARGUMENT;
  *handle = handle_of(index, kInstances);
  return state.gpus[index].lost && !state.gpus[index].lost_late ? GPU_IS_LOST : SUCCESS;
}

API int nvmlDeviceGetUUID(struct handle* handle, char* text, unsigned size) {
  struct state state;
  read_state(&state);
  if (state.gpus[handle->gpu].lost) return GPU_IS_LOST;
  if (handle->instance < kInstances) {
    snprintf(text, size, "MIG-%08x-0000-4000-8000-%012x", handle->gpu, handle->instance);
  } else {
    snprintf(text, size, "GPU-%08x-0000-4000-8000-000000000000", handle->gpu);
  }
  return SUCCESS;
}

API int nvmlDeviceGetName(struct handle* handle, char* text, unsigned size) {
  struct state state;
  read_state(&state);
  snprintf(text, size, "%s", tenant_of(handle, &state.gpus[handle->gpu])->name);
  return SUCCESS;
}

struct memory {
  unsigned long long total, free, used;
};

API int nvmlDeviceGetMemoryInfo(struct handle* handle, struct memory* memory) {
  struct state state;
  struct gpu* gpu;
  const int result = look(handle, &state, &gpu);
  if (result != SUCCESS) return result;
  const unsigned long long used = tenant_of(handle, gpu)->used + kReserved;
  *memory = (struct memory){kTotal, kTotal - used, used};
  return SUCCESS;
}

struct process_v1 {
  unsigned pid;
  unsigned long long used;
};
struct process_v2 {
  unsigned pid;
  unsigned long long used;
  unsigned gpu_instance, compute_instance;
};

#ifdef STANDIN_OLD
typedef struct process_v1 process;
#define VERSIONED(name) name
#else
typedef struct process_v2 process;
#define VERSIONED(name) name##_v3
#endif

static int list(const unsigned* pids, unsigned pid_count, unsigned* count, process* processes) {
  const unsigned room = *count;
  *count = pid_count;
  if (room < pid_count) return INSUFFICIENT_SIZE;
  for (unsigned i = 0; i < pid_count; ++i) processes[i].pid = pids[i];
  return SUCCESS;
}

API int VERSIONED(nvmlDeviceGetComputeRunningProcesses)(struct handle* handle, unsigned* count,
                                                        process* processes) {
  struct state state;
  struct gpu* gpu;
  const int result = look(handle, &state, &gpu);
  if (result != SUCCESS) return result;
  const struct tenant* const tenant = tenant_of(handle, gpu);
  return list(tenant->pids, tenant->pid_count, count, processes);
}

API int VERSIONED(nvmlDeviceGetGraphicsRunningProcesses)(struct handle* handle, unsigned* count,
                                                         process* processes) {
  struct state state;
  struct gpu* gpu;
  const int result = look(handle, &state, &gpu);
  if (result != SUCCESS) return result;
  if (handle->instance < kInstances) return NOT_SUPPORTED;
  return list(gpu->graphics, gpu->graphics_count, count, processes);
}

API int nvmlDeviceGetUtilizationRates(struct handle* handle, unsigned* rates) {
  struct state state;
  struct gpu* gpu;
  const int result = look(handle, &state, &gpu);
  if (handle->instance < kInstances) return NOT_SUPPORTED;
  rates[0] = gpu->utilization;
  rates[1] = 0;
  return result;
}

API int nvmlDeviceGetTemperature(struct handle* handle, int sensor, unsigned* degrees) {
  struct state state;
  struct gpu* gpu;
  const int result = look(handle, &state, &gpu);
  *degrees = gpu->temperature;
  return sensor == 0 ? result : INVALID_ARGUMENT;
}

API int nvmlDeviceGetPowerUsage(struct handle* handle, unsigned* milliwatts) {
  *milliwatts = 75000;
  return SUCCESS;
}

API int nvmlDeviceGetTotalEccErrors(struct handle* handle, int type, int counter,
                                    unsigned long long* errors) {
  struct state state;
  struct gpu* gpu;
  const int result = look(handle, &state, &gpu);
  *errors = type == 1 && counter == 0 ? gpu->ecc : 0;
  return result;
}

API int nvmlDeviceGetRetiredPagesPendingStatus(struct handle* handle, int* pending) {
  return NOT_SUPPORTED; /* as of an H200, which remaps rows */
}

/* nodeSet has one bit for each node, in words of unsigned long. */
API int nvmlDeviceGetMemoryAffinity(struct handle* handle, unsigned size, unsigned long* nodes,
                                    unsigned scope) {
  memset(nodes, 0, size * sizeof *nodes);
  nodes[0] = 1ul << (handle->gpu / 4);
  return scope == 0 ? SUCCESS : INVALID_ARGUMENT;
}

struct pci_info {
  char legacy_bus_id[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
};

API int nvmlDeviceGetPciInfo_v3(struct handle* handle, struct pci_info* info) {
  memset(info, 0, sizeof *info);
  snprintf(info->bus_id, sizeof info->bus_id, "00000000:%02X:00.0", 0x10 + handle->gpu);
  return SUCCESS;
}

API int nvmlDeviceGetNvLinkState(struct handle* handle, unsigned link, int* active) {
  struct state state;
  read_state(&state);
  if (link >= 18) return INVALID_ARGUMENT;
  *active = state.links != LINKS_NONE && link == 3;
  return SUCCESS;
}

/* One switch for all, or one for each quad. */
API int nvmlDeviceGetNvLinkRemotePciInfo_v2(struct handle* handle, unsigned link,
                                            struct pci_info* info) {
  struct state state;
  read_state(&state);
  memset(info, 0, sizeof *info);
  snprintf(info->bus_id, sizeof info->bus_id, "00000000:%02X:00.0",
           0xA0 + (state.links == LINKS_QUADS ? handle->gpu / 4 : 0));
  return SUCCESS;
}

/* --- events --- */

struct event {
  struct handle* device;
  unsigned long long type, data;
  unsigned gpu_instance, compute_instance;
};

static pthread_mutex_t events_lock = PTHREAD_MUTEX_INITIALIZER;
static int registered[kGpus];
static unsigned told[kGpus];
static int the_only_set;

API int nvmlEventSetCreate(void** set) {
  *set = &the_only_set;
  return SUCCESS;
}

API int nvmlDeviceRegisterEvents(struct handle* handle, unsigned long long types, void* set) {
  if (set != &the_only_set || types != 8) return INVALID_ARGUMENT;
  pthread_mutex_lock(&events_lock);
  registered[handle->gpu] = 1;
  pthread_mutex_unlock(&events_lock);
  return SUCCESS;
}

API int nvmlEventSetWait_v2(void* set, struct event* event, unsigned milliseconds) {
  struct state state;
  int result = TIMEOUT;
  read_state(&state);
  pthread_mutex_lock(&events_lock);
  for (unsigned i = 0; i < state.devices && result != SUCCESS; ++i) {
    for (unsigned j = 0; registered[i] && j < state.gpus[i].xid_count; ++j) {
      const struct xid* const xid = &state.gpus[i].xids[j];
      if (xid->number <= told[i]) continue;
      told[i] = xid->number;
      *event = (struct event){handle_of(i, kInstances), 8, xid->code, ~0u, ~0u};
      result = SUCCESS;
      break;
    }
  }
  pthread_mutex_unlock(&events_lock);
  return result;
}

/* --- what old drivers lack --- */

#ifndef STANDIN_OLD
struct memory_v2 {
  unsigned version;
  unsigned long long total, reserved, free, used;
};

API int nvmlDeviceGetMemoryInfo_v2(struct handle* handle, struct memory_v2* memory) {
  struct state state;
  struct gpu* gpu;
  if (memory->version != (sizeof *memory | 2u << 24)) return INVALID_ARGUMENT;
  const int result = look(handle, &state, &gpu);
  if (result != SUCCESS) return result;
  const unsigned long long used = tenant_of(handle, gpu)->used;
  *memory = (struct memory_v2){memory->version, kTotal, kReserved, kTotal - kReserved - used, used};
  return SUCCESS;
}

API int nvmlDeviceGetRemappedRows(struct handle* handle, unsigned* corrected, unsigned* uncorrected,
                                  unsigned* pending, unsigned* failed) {
  struct state state;
  struct gpu* gpu;
  const int result = look(handle, &state, &gpu);
  *corrected = *uncorrected = 0;
  *pending = (unsigned)gpu->remap_pending;
  *failed = (unsigned)gpu->remap_failed;
  return result;
}

static int linked(const struct state* state, unsigned one, unsigned other) {
  return state->links == LINKS_ALL || (state->links == LINKS_QUADS && one / 4 == other / 4);
}

API int nvmlDeviceGetP2PStatus(struct handle* one, struct handle* other, int caps, int* status) {
  struct state state;
  read_state(&state);
  *status = caps == 2 && linked(&state, one->gpu, other->gpu) ? 0 : 5;
  return SUCCESS;
}

API int nvmlDeviceGetMigMode(struct handle* handle, unsigned* current, unsigned* pending) {
  struct state state;
  read_state(&state);
  *current = *pending = (unsigned)state.gpus[handle->gpu].mig;
  return SUCCESS;
}

API int nvmlDeviceGetMaxMigDeviceCount(struct handle* handle, unsigned* count) {
  *count = 7;
  return SUCCESS;
}

API int nvmlDeviceGetMigDeviceHandleByIndex(struct handle* handle, unsigned index,
                                            struct handle** instance) {
  struct state state;
  read_state(&state);
  if (index >= state.gpus[handle->gpu].instance_count) return NOT_FOUND;
  *instance = handle_of(handle->gpu, index);
  return SUCCESS;
}
#endif
