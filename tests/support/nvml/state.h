// What the stand-in says: read anew, for each call, from the file that AIRLOCK_STANDIN_NVML names.
//
// One fact a line; '#' begins a comment; nothing said is eight healthy, idle H200s:
//   devices N               how many GPUs there are
//   links all|quads|none    what NVLink joins: everything, 0-3 and 4-7, nothing
//   driver TEXT             its version
//   init N                  nvmlInit_v2 gives this error
//   hang                    the library hangs as long as this line is there
//   gpu I used BYTES        memory in use          gpu I utilization PERCENT
//   gpu I temperature N     degrees                gpu I processes PID,PID
//   gpu I graphics PID,PID  with graphics          gpu I ecc N    errors not corrected
//   gpu I xid CODE NUMBER   an error, reported once for each NUMBER, which grows
//   gpu I lost              NVML says that it is lost; `lost late`: not yet when asked for a handle
//   gpu I hang              calls about it hang    gpu I name TEXT
//   gpu I remap pending|failed
//   gpu I mig PROFILE,PROFILE    MIG mode with these instances ("1g.18gb"), or with none
//   mig I N used BYTES      of an instance         mig I N processes PID,PID
#pragma once

enum { kGpus = 16, kInstances = 8, kPids = 16, kXids = 16, kText = 80 };

enum links { LINKS_ALL, LINKS_QUADS, LINKS_NONE };

struct tenant {
  unsigned long long used;
  unsigned pids[kPids];
  unsigned pid_count;
  char name[kText];
};

struct xid {
  unsigned code;
  unsigned number;
};

struct gpu {
  struct tenant self;
  unsigned graphics[kPids];
  unsigned graphics_count;
  unsigned utilization;
  unsigned temperature;
  unsigned long long ecc;
  int lost, lost_late, hang, remap_pending, remap_failed, mig;
  struct tenant instances[kInstances];
  unsigned instance_count;
  struct xid xids[kXids];
  unsigned xid_count;
};

struct state {
  unsigned devices;
  enum links links;
  int init_error;
  int hang;
  char driver[kText];
  struct gpu gpus[kGpus];
};

void read_state(struct state* state);
