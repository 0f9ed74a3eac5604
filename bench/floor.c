// floor: the least that any tool could do. The same namespaces, mounts and cgroups as airlock, in a
// loop.
//
//   floor --count N [--warmup W] [--workers C] [--parent NAME] [--without PART]... PROGRAM
//
// Each iteration makes the groups, clones, maps ids, attaches, builds the view, execs PROGRAM,
// waits and removes the groups; its wall time is one sample. Prints {"samples_us": [...], "wall_s":
// s, "failed": n}.
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kGroupsMax = 4, kGuestId = 1000, kWorkersMax = 64 };

struct Group {
  char parent[64];
  char path[96];        // one per worker
  const char* file[2];  // limits
  const char* value[2];
  int unified;  // cgroup v2: the child is born inside
  int fd;       // v1: its `tasks`, v2: the group's directory
};

static struct Group groups[kGroupsMax];
static int group_count;
static const char* parent_name = "";
static struct FloorParts parts = {(1U << kPartCount) - 1};
static struct FloorFailure* failure;
static const char* const kPartNames[kPartCount] = {
    "user", "pid", "net", "ipc",    "uts",  "cgroupns", "loopback", "cgroups",
    "view", "etc", "dev", "devpts", "proc", "masks",    "workspace"};

static void die(const char* what) {
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int write_text(const char* path, const char* text, size_t size) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t written = write(fd, text, size);
  close(fd);
  return written == (ssize_t)size ? 0 : -1;
}

static void add_group(int unified, const char* mount_point, const char* file, const char* value,
                      const char* file2, const char* value2) {
  struct Group* group = &groups[group_count++];
  group->unified = unified;
  snprintf(group->parent, sizeof group->parent, "%s/%s", mount_point, parent_name);
  group->file[0] = file;
  group->value[0] = value;
  group->file[1] = file2;
  group->value[1] = value2;
  if (access(group->parent, W_OK) != 0) die(group->parent);
}

// As airlock does without a cpu rate: memory, pids and cpuacct on v1, one group on v2.
static void find_groups(void) {
  if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
    add_group(1, "/sys/fs/cgroup", "memory.max", "536870912", "pids.max", "128");
    return;
  }
  add_group(0, "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "536870912",
            "memory.memsw.limit_in_bytes", "536870912");
  add_group(0, "/sys/fs/cgroup/pids", "pids.max", "128", NULL, NULL);
  add_group(0, "/sys/fs/cgroup/cpuacct", NULL, NULL, NULL, NULL);
}

static void name_groups(int worker) {
  for (int i = 0; i < group_count; ++i) {
    snprintf(groups[i].path, sizeof groups[i].path, "%s/floor-%d-%d", groups[i].parent,
             (int)getpid(), worker);
  }
}

static int make_groups(void) {
  for (int i = 0; i < group_count; ++i) {
    struct Group* group = &groups[i];
    if (mkdir(group->path, 0755) != 0) return -1;
    char path[160];
    for (int k = 0; k < 2 && group->file[k] != NULL; ++k) {
      snprintf(path, sizeof path, "%s/%s", group->path, group->file[k]);
      const int set = write_text(path, group->value[k], strlen(group->value[k]));
      if (set != 0 && k == 0) return -1;  // the second is absent on some kernels
    }
    snprintf(path, sizeof path, "%s/%s", group->path, group->unified ? "." : "tasks");
    group->fd = open(path, (group->unified ? O_RDONLY | O_DIRECTORY : O_WRONLY) | O_CLOEXEC);
    if (group->fd < 0) return -1;
  }
  return 0;
}

// v1, in the child: "0" written to `tasks` moves the calling thread without the lock that a pid
// written to cgroup.procs waits for, which on an idle machine is milliseconds (a grace period of
// RCU).
static int join_groups(void) {
  for (int i = 0; i < group_count; ++i) {
    if (!groups[i].unified && write(groups[i].fd, "0", 1) != 1) return -1;
  }
  return 0;
}

static int remove_groups(void) {
  for (int i = 0; i < group_count; ++i) {
    close(groups[i].fd);
    if (rmdir(groups[i].path) != 0) return -1;
  }
  return 0;
}

static int map_ids(long pid) {
  static const char kMap[] = "0 2029977600 65536\n";
  char path[48];
  snprintf(path, sizeof path, "/proc/%ld/uid_map", pid);
  if (write_text(path, kMap, sizeof kMap - 1) != 0) return -1;
  snprintf(path, sizeof path, "/proc/%ld/gid_map", pid);
  return write_text(path, kMap, sizeof kMap - 1);
}

static int raise_loopback(void) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  struct ifreq request = {.ifr_name = "lo"};
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const int raised = ioctl(fd, SIOCSIFFLAGS, &request);
  close(fd);
  return raised;
}

static void stop(const char* step) {
  failure->step = step;
  failure->error = errno;
  _exit(126);
}

static void run_child(int gate, int program) {
  if (floor_has(parts, kPartCgroups) && join_groups() != 0) stop("cgroup");
  if (floor_has(parts, kPartCgroupns) && unshare(CLONE_NEWCGROUP) != 0) stop("cgroup namespace");
  char byte;
  if (read(gate, &byte, 1) != 0) stop("gate");
  if (floor_has(parts, kPartUser) && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)) {
    stop("identity");
  }
  if (floor_enter_view(parts, failure) != 0) _exit(126);
  if (floor_has(parts, kPartUts) && sethostname("airlock", 7) != 0) stop("hostname");
  if (floor_has(parts, kPartLoopback) && raise_loopback() != 0) stop("loopback");
  if (syscall(SYS_setgroups, 0, NULL) != 0 || setresgid(kGuestId, kGuestId, kGuestId) != 0 ||
      setresuid(kGuestId, kGuestId, kGuestId) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    stop("guest identity");
  }
  char* argv[] = {(char[]){"noop"}, NULL};
  char* environment[] = {NULL};
  syscall(SYS_execveat, program, "", argv, environment, AT_EMPTY_PATH);
  stop("exec");
}

static unsigned long long namespaces(void) {
  static const struct {
    enum FloorPart part;
    unsigned long long flag;
  } kFlags[] = {{kPartUser, CLONE_NEWUSER},
                {kPartPid, CLONE_NEWPID},
                {kPartNet, CLONE_NEWNET},
                {kPartIpc, CLONE_NEWIPC},
                {kPartUts, CLONE_NEWUTS}};
  unsigned long long flags = CLONE_NEWNS;
  for (size_t i = 0; i < sizeof kFlags / sizeof kFlags[0]; ++i) {
    if (floor_has(parts, kFlags[i].part)) flags |= kFlags[i].flag;
  }
  return flags;
}

// One sandbox from nothing to nothing. Returns 0 when the program ran and exited with 0.
static int run_once(int program) {
  const int with_groups = floor_has(parts, kPartCgroups);
  if (with_groups && make_groups() != 0) die("cgroup");
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) != 0) die("pipe");
  struct clone_args arguments = {.flags = namespaces(), .exit_signal = SIGCHLD};
  if (with_groups && groups[0].unified) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = (unsigned long long)groups[0].fd;
  }
  const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid < 0) die("clone3");
  if (pid == 0) {
    close(gate[1]);
    run_child(gate[0], program);
  }
  close(gate[0]);
  if (floor_has(parts, kPartUser) && map_ids(pid) != 0) die("uid_map");
  close(gate[1]);
  int status = -1;
  if (waitpid((pid_t)pid, &status, 0) < 0) die("wait");
  if (with_groups && remove_groups() != 0) die("rmdir");
  return status;
}

static int run_worker(int worker, int program, int warmup, int count, double* samples) {
  int failed = 0;
  name_groups(worker);
  for (int i = -warmup; i < count; ++i) {
    const double start = now_us();
    const int status = run_once(program);
    if (i >= 0) samples[i] = now_us() - start;
    if (status != 0) ++failed;
  }
  return failed;
}

static void* shared(size_t size) {
  void* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  return memory;
}

static void leave_out(const char* name) {
  for (int i = 0; i < kPartCount; ++i) {
    if (strcmp(kPartNames[i], name) == 0) {
      parts.bits &= ~(1U << i);
      return;
    }
  }
  fprintf(stderr, "floor: there is no part \"%s\"; parts:", name);
  for (int i = 0; i < kPartCount; ++i) fprintf(stderr, " %s", kPartNames[i]);
  fprintf(stderr, "\n");
  exit(2);
}

int main(int argc, char** argv) {
  int count = 0;
  int warmup = 0;
  int workers = 1;
  int at = 1;
  for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
    if (strcmp(argv[at], "--count") == 0)
      count = atoi(argv[at + 1]);
    else if (strcmp(argv[at], "--warmup") == 0)
      warmup = atoi(argv[at + 1]);
    else if (strcmp(argv[at], "--workers") == 0)
      workers = atoi(argv[at + 1]);
    else if (strcmp(argv[at], "--parent") == 0)
      parent_name = argv[at + 1];
    else if (strcmp(argv[at], "--without") == 0)
      leave_out(argv[at + 1]);
    else
      break;
  }
  if (at != argc - 1 || count < 1 || workers < 1 || workers > kWorkersMax) {
    fprintf(stderr,
            "usage: floor --count N [--warmup W] [--workers C] [--parent NAME] [--without PART]... "
            "PROGRAM\n");
    return 2;
  }
  const int program = open(argv[at], O_RDONLY | O_CLOEXEC);
  if (program < 0) die(argv[at]);
  if (floor_has(parts, kPartCgroups)) find_groups();
  failure = shared(sizeof *failure);
  double* samples = shared(sizeof(double) * (size_t)count * (size_t)workers);
  const double start = now_us();
  for (int i = 1; i < workers; ++i) {
    if (fork() == 0) _exit(run_worker(i, program, warmup, count, samples + i * count) != 0);
  }
  int failed = run_worker(0, program, warmup, count, samples);
  for (int status = 0; wait(&status) > 0;) failed += status != 0 ? 1 : 0;
  const double wall_s = (now_us() - start) / 1e6;
  if (failed > 0) {
    fprintf(stderr, "floor: %d failed, at %s: %s\n", failed, failure->step ? failure->step : "exec",
            strerror(failure->error));
  }
  printf("{\"failed\": %d, \"wall_s\": %.6f, \"samples_us\": [", failed, wall_s);
  for (int i = 0; i < count * workers; ++i) printf("%s%.1f", i > 0 ? ", " : "", samples[i]);
  printf("]}\n");
  return failed > 0 ? 1 : 0;
}
