#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void complain(const char* line) {
  fprintf(stderr, "nvml stand-in: not understood: %s\n", line);
  abort();
}

static unsigned read_pids(const char* text, unsigned* pids) {
  unsigned count = 0;
  while (*text != '\0' && count < kPids) {
    char* end;
    pids[count++] = (unsigned)strtoul(text, &end, 10);
    if (end == text) complain(text);
    text = *end == ',' ? end + 1 : end;
  }
  return count;
}

static void read_instances(struct gpu* gpu, char* text) {
  char* rest = NULL;
  gpu->mig = 1;
  gpu->instance_count = 0;
  for (char* profile = strtok_r(text, ",", &rest);
       profile != NULL && gpu->instance_count < kInstances; profile = strtok_r(NULL, ",", &rest)) {
    struct tenant* instance = &gpu->instances[gpu->instance_count++];
    snprintf(instance->name, kText, "NVIDIA H200 MIG %.40s", profile);
  }
}

static int read_tenant(struct tenant* tenant, const char* key, const char* value) {
  if (strcmp(key, "used") == 0) {
    tenant->used = strtoull(value, NULL, 10);
  } else if (strcmp(key, "processes") == 0) {
    tenant->pid_count = read_pids(value, tenant->pids);
  } else {
    return 0;
  }
  return 1;
}

static int read_gpu_line(struct gpu* gpu, const char* key, char* value) {
  if (read_tenant(&gpu->self, key, value)) return 1;
  if (strcmp(key, "utilization") == 0) {
    gpu->utilization = (unsigned)strtoul(value, NULL, 10);
  } else if (strcmp(key, "temperature") == 0) {
    gpu->temperature = (unsigned)strtoul(value, NULL, 10);
  } else if (strcmp(key, "graphics") == 0) {
    gpu->graphics_count = read_pids(value, gpu->graphics);
  } else if (strcmp(key, "ecc") == 0) {
    gpu->ecc = strtoull(value, NULL, 10);
  } else if (strcmp(key, "xid") == 0 && gpu->xid_count < kXids) {
    struct xid* xid = &gpu->xids[gpu->xid_count++];
    if (sscanf(value, "%u %u", &xid->code, &xid->number) != 2) return 0;
  } else if (strcmp(key, "lost") == 0) {
    gpu->lost = 1;
    gpu->lost_late = strcmp(value, "late") == 0;
  } else if (strcmp(key, "hang") == 0) {
    gpu->hang = 1;
  } else if (strcmp(key, "name") == 0) {
    snprintf(gpu->self.name, kText, "%s", value);
  } else if (strcmp(key, "remap") == 0) {
    gpu->remap_pending = strcmp(value, "pending") == 0;
    gpu->remap_failed = strcmp(value, "failed") == 0;
  } else if (strcmp(key, "mig") == 0) {
    read_instances(gpu, value);
  } else {
    return 0;
  }
  return 1;
}

static int read_line(struct state* state, char* line) {
  char key[kText] = "";
  unsigned index = 0, instance = 0;
  int at = 0;
  if (sscanf(line, "gpu %u %79s %n", &index, key, &at) == 2 && index < kGpus) {
    return read_gpu_line(&state->gpus[index], key, line + (at != 0 ? at : (int)strlen(line)));
  }
  if (sscanf(line, "mig %u %u %79s %n", &index, &instance, key, &at) == 3 && index < kGpus &&
      instance < kInstances && at != 0) {
    return read_tenant(&state->gpus[index].instances[instance], key, line + at);
  }
  if (sscanf(line, "devices %u", &state->devices) == 1) return state->devices <= kGpus;
  if (sscanf(line, "init %d", &state->init_error) == 1) return 1;
  if (sscanf(line, "driver %79s", state->driver) == 1) return 1;
  if (strcmp(line, "hang") == 0) return state->hang = 1;
  if (sscanf(line, "links %79s", key) == 1) {
    state->links = strcmp(key, "all") == 0     ? LINKS_ALL
                   : strcmp(key, "quads") == 0 ? LINKS_QUADS
                                               : LINKS_NONE;
    return 1;
  }
  return 0;
}

void read_state(struct state* state) {
  memset(state, 0, sizeof *state);
  state->devices = 8;
  strcpy(state->driver, "550.90.07");
  for (unsigned i = 0; i < kGpus; ++i) {
    state->gpus[i].self.used = 4ull << 20;
    state->gpus[i].temperature = 30;
    strcpy(state->gpus[i].self.name, "NVIDIA H200");
    for (unsigned j = 0; j < kInstances; ++j) state->gpus[i].instances[j].used = 4ull << 20;
  }
  const char* const path = getenv("AIRLOCK_STANDIN_NVML");
  FILE* const file = path == NULL ? NULL : fopen(path, "re");
  if (file == NULL) return;
  char line[256];
  while (fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "#\n")] = '\0';
    if (line[0] != '\0' && !read_line(state, line)) complain(line);
  }
  fclose(file);
}
