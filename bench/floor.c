// floor: the least that any tool could do. The same namespaces, mounts and cgroups as airlock, in a
// loop.
//
//   floor --count N [--warmup W] [--workers C] [--parent NAME] [--view FILE]
//         [--without PART]... PROGRAM
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

enum { kGuestId = 1000, kWorkersMax = 64 };

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

static int map_ids(long pid) {
  static const char kMap[] = "0 2029977600 65536\n";
  char path[48];
  snprintf(path, sizeof path, "/proc/%ld/uid_map", pid);
  if (floor_write(path, kMap, sizeof kMap - 1) != 0) return -1;
  snprintf(path, sizeof path, "/proc/%ld/gid_map", pid);
  return floor_write(path, kMap, sizeof kMap - 1);
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
  if (floor_has(parts, kPartCgroups) && floor_join_groups() != 0) stop("cgroup");
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
  if (with_groups && floor_make_groups() != 0) die("cgroup");
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) != 0) die("pipe");
  struct clone_args arguments = {.flags = namespaces(), .exit_signal = SIGCHLD};
  const int unified = with_groups ? floor_unified_group() : -1;
  if (unified >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = (unsigned long long)unified;
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
  if (with_groups && floor_remove_groups() != 0) die("rmdir");
  return status;
}

static int run_worker(int worker, int program, int warmup, int count, double* samples) {
  int failed = 0;
  floor_name_groups(worker);
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

struct Options {
  int count;
  int warmup;
  int workers;
};

static void set_option(struct Options* options, const char* name, const char* value) {
  if (strcmp(name, "--count") == 0) {
    options->count = atoi(value);
  } else if (strcmp(name, "--warmup") == 0) {
    options->warmup = atoi(value);
  } else if (strcmp(name, "--workers") == 0) {
    options->workers = atoi(value);
  } else if (strcmp(name, "--parent") == 0) {
    parent_name = value;
  } else if (strcmp(name, "--without") == 0) {
    leave_out(value);
  } else if (strcmp(name, "--view") == 0) {
    if (floor_read_view(value) != 0) die(value);
  } else {
    options->count = 0;
  }
}

static void print_samples(const double* samples, int count, int failed, double wall_s) {
  if (failed > 0) {
    fprintf(stderr, "floor: %d failed, at %s: %s\n", failed, failure->step ? failure->step : "exec",
            strerror(failure->error));
  }
  printf("{\"failed\": %d, \"wall_s\": %.6f, \"samples_us\": [", failed, wall_s);
  for (int i = 0; i < count; ++i) printf("%s%.1f", i > 0 ? ", " : "", samples[i]);
  printf("]}\n");
}

int main(int argc, char** argv) {
  struct Options options = {.count = -1, .workers = 1};
  int at = 1;
  for (; at + 1 < argc; at += 2) set_option(&options, argv[at], argv[at + 1]);
  if (at != argc - 1 || options.count < 1 || options.workers < 1 || options.workers > kWorkersMax) {
    fprintf(stderr,
            "usage: floor --count N [--warmup W] [--workers C] [--parent NAME] [--view FILE] "
            "[--without PART]... PROGRAM\n");
    return 2;
  }
  const int program = open(argv[at], O_RDONLY | O_CLOEXEC);
  if (program < 0) die(argv[at]);
  if (floor_has(parts, kPartCgroups)) floor_find_groups(parent_name);
  failure = shared(sizeof *failure);
  const int count = options.count;
  double* samples = shared(sizeof(double) * (size_t)count * (size_t)options.workers);
  const double start = now_us();
  for (int i = 1; i < options.workers; ++i) {
    if (fork() == 0) _exit(run_worker(i, program, options.warmup, count, samples + i * count) != 0);
  }
  int failed = run_worker(0, program, options.warmup, count, samples);
  for (int status = 0; wait(&status) > 0;) failed += status != 0 ? 1 : 0;
  print_samples(samples, count * options.workers, failed, (now_us() - start) / 1e6);
  return failed > 0 ? 1 : 0;
}
