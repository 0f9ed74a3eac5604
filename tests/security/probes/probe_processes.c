// Attacks on processes that are not ours, on users and on privilege.
#include "probe.h"

#include <ctype.h>
#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_getfd 438
#endif

static void kill_one(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  verdict(kill((pid_t)pid, argc > 1 ? atoi(argv[1]) : 0), "kill");
}

// Init may be our own user (rootless), so kill() may succeed; what counts is that nothing happens
// to it. If it ended or stopped, so would this run.
static void disturb_init(int argc, char** argv) {
  long number = need_number(argc, argv, 0, "signal");
  int result = kill(1, (int)number);
  int saved = errno;
  usleep(200 * 1000);
  if (result < 0) contained("kill: %s", errno_name(saved));
  contained("signal %ld has no effect on init", number);
}

// A broadcast must reach nobody: our own children and parent would be the only ones.
static void kill_everyone(int argc, char** argv) {
  (void)argc, (void)argv;
  verdict(kill(-1, 0), "kill(-1)");
}

static void visible(int argc, char** argv) {
  (void)argc, (void)argv;
  DIR* dir = opendir("/proc");
  if (dir == NULL) contained("opendir /proc: %s", errno_name(errno));
  int others = 0;
  for (struct dirent* e; (e = readdir(dir)) != NULL;) {
    if (!isdigit((unsigned char)e->d_name[0])) continue;
    struct stat info;
    char path[300];
    snprintf(path, sizeof path, "/proc/%s", e->d_name);
    others += atoi(e->d_name) != getpid() && stat(path, &info) == 0 && atoi(e->d_name) != getppid();
  }
  if (others > 0) escaped("%d processes of others are visible", others);
  contained("no process of others in /proc");
}

static void read_process(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  const char* files[] = {"environ", "maps", "mem", "auxv", "stack", "syscall", "io"};
  char path[64], target[256];
  for (size_t i = 0; i < sizeof files / sizeof *files; ++i) {
    snprintf(path, sizeof path, "/proc/%ld/%s", pid, files[i]);
    if (can_open(path, O_RDONLY)) escaped("read %s", path);
  }
  const char* links[] = {"exe", "cwd", "root", "fd/0", "fd/3", "ns/mnt"};
  for (size_t i = 0; i < sizeof links / sizeof *links; ++i) {
    snprintf(path, sizeof path, "/proc/%ld/%s", pid, links[i]);
    if (readlink(path, target, sizeof target) >= 0) escaped("read the link %s", path);
  }
  contained("/proc/%ld: %s", pid, errno_name(errno));
}

static void write_process(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  const char* files[] = {"mem", "exe", "clear_refs", "oom_score_adj", "attr/current", "comm"};
  for (size_t i = 0; i < sizeof files / sizeof *files; ++i) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/%s", pid, files[i]);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) escaped("opened %s for writing", path);
  }
  contained("/proc/%ld: %s", pid, errno_name(errno));
}

static void trace(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  long result = ptrace(PTRACE_SEIZE, (pid_t)pid, NULL, NULL);
  int saved = errno;
  if (result == 0) ptrace(PTRACE_DETACH, (pid_t)pid, NULL, NULL);
  errno = saved;
  verdict(result, "PTRACE_SEIZE");
}

static void read_memory(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%ld/maps", pid);
  FILE* maps = fopen(path, "re");
  unsigned long start = 0x400000;
  if (maps != NULL && fgets(line, sizeof line, maps) != NULL) start = strtoul(line, NULL, 16);
  char bytes[16];
  struct iovec local = {bytes, sizeof bytes};
  struct iovec remote = {(void*)start, sizeof bytes};
  verdict(process_vm_readv((pid_t)pid, &local, 1, &remote, 1, 0), "process_vm_readv");
}

static void write_memory(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  char byte = 0;
  struct iovec local = {&byte, 1};
  struct iovec remote = {(void*)8, 1};
  // Page zero is never mapped: EFAULT is seen only by who may write at all.
  verdict_or(process_vm_writev((pid_t)pid, &local, 1, &remote, 1, 0), EFAULT, "process_vm_writev");
}

static void pidfd(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
  if (fd < 0) contained("pidfd_open: %s", errno_name(errno));
  verdict(syscall(SYS_pidfd_getfd, fd, 0, 0), "pidfd_getfd");
}

static void compare(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  verdict(syscall(SYS_kcmp, getpid(), (pid_t)pid, 1 /* KCMP_VM */, 0, 0), "kcmp");
}

static void limits_of(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  struct rlimit limit;
  if (prlimit((pid_t)pid, RLIMIT_NOFILE, NULL, &limit) != 0) {
    contained("prlimit: %s", errno_name(errno));
  }
  verdict(prlimit((pid_t)pid, RLIMIT_NOFILE, &limit, NULL), "prlimit of another");
}

static void affinity_of(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  cpu_set_t set;
  if (sched_getaffinity((pid_t)pid, sizeof set, &set) != 0) {
    contained("sched_getaffinity: %s", errno_name(errno));
  }
  verdict(sched_setaffinity((pid_t)pid, sizeof set, &set), "sched_setaffinity");
}

static void become(int argc, char** argv) {
  const char* call = need(argc, argv, 0, "call");
  if (strcmp(call, "setuid") == 0) verdict(setresuid(0, 0, 0), "setresuid(0)");
  if (strcmp(call, "setgid") == 0) verdict(setresgid(0, 0, 0), "setresgid(0)");
  gid_t group = 0;
  verdict(setgroups(1, &group), "setgroups");
}

static void root_ids(int argc, char** argv) {
  (void)argc, (void)argv;
  gid_t groups[64];
  int count = getgroups(64, groups);
  if (getuid() == 0 || geteuid() == 0 || getgid() == 0 || getegid() == 0) escaped("runs as root");
  for (int i = 0; i < count; ++i) {
    if (groups[i] != getgid() && groups[i] != 65534) escaped("is in group %u", groups[i]);
  }
  contained("uid %u gid %u, %d groups", getuid(), getgid(), count);
}

static void capabilities(int argc, char** argv) {
  const char* set = need(argc, argv, 0, "held or bounding");
  if (strcmp(set, "bounding") == 0) {
    for (int c = 0; c <= 63; ++c) {
      if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1)
        escaped("capability %d is in the bounding set", c);
    }
    contained("bounding set is empty");
  }
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {0};
  if (syscall(SYS_capget, &head, data) != 0) contained("capget: %s", errno_name(errno));
  for (int i = 0; i < 2; ++i) {
    if (data[i].effective | data[i].permitted | data[i].inheritable) {
      escaped("holds capabilities %08x", data[i].permitted);
    }
  }
  for (int c = 0; c <= 63; ++c) {
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, c, 0, 0) == 1) escaped("ambient %d", c);
  }
  contained("holds none");
}

static void no_new_privs(int argc, char** argv) {
  (void)argc, (void)argv;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) contained("no_new_privs is set");
  escaped("no_new_privs is not set");
}

static void seccomp_on(int argc, char** argv) {
  (void)argc, (void)argv;
  FILE* file = fopen("/proc/self/status", "re");
  if (file == NULL) inconclusive("/proc/self/status: %s", errno_name(errno));
  char line[256];
  while (fgets(line, sizeof line, file) != NULL) {
    if (strcmp(line, "Seccomp:\t2\n") == 0) contained("a seccomp filter is on");
  }
  escaped("no seccomp filter");
}

static void nice_up(int argc, char** argv) {
  (void)argc, (void)argv;
  verdict(setpriority(PRIO_PROCESS, 0, -20), "nice -20");
}

static void real_time(int argc, char** argv) {
  (void)argc, (void)argv;
  struct sched_param parameters = {.sched_priority = 1};
  int result = sched_setscheduler(0, SCHED_FIFO, &parameters);
  struct sched_param normal = {0};
  int saved = errno;
  if (result == 0) sched_setscheduler(0, SCHED_OTHER, &normal);
  errno = saved;
  verdict(result, "SCHED_FIFO");
}

static void oom_shield(int argc, char** argv) {
  (void)argc, (void)argv;
  int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  if (fd < 0) contained("oom_score_adj: %s", errno_name(errno));
  char now[16] = "";
  if (read(fd, now, sizeof now - 1) < 0) inconclusive("read: %s", errno_name(errno));
  verdict(write(fd, "-1000", 5), "oom_score_adj -1000");
}

static void raise_limit(int argc, char** argv) {
  (void)argc, (void)argv;
  const int kinds[] = {RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_MEMLOCK, RLIMIT_CORE, RLIMIT_NICE};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    struct rlimit limit;
    if (getrlimit(kinds[i], &limit) != 0 || limit.rlim_max == RLIM_INFINITY) continue;
    limit.rlim_max += 1;
    if (setrlimit(kinds[i], &limit) == 0) escaped("raised hard limit %d", kinds[i]);
  }
  contained("setrlimit: %s", errno_name(errno));
}

static void crash(void* context) {
  (void)context;
  raise(SIGSEGV);
}

static void core_dump(int argc, char** argv) {
  (void)argc, (void)argv;
  struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  if (setrlimit(RLIMIT_CORE, &limit) != 0) {
    getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_CORE, &limit);
  }
  int status = in_child(crash, NULL);
  if (WCOREDUMP(status)) escaped("the kernel dumped a core");
  contained("no core: status %#x", (unsigned)status);
}

static void host_name(int argc, char** argv) {
  const char* name = need(argc, argv, 0, "name of the host");
  struct utsname uts;
  if (uname(&uts) != 0) inconclusive("uname");
  if (strcmp(uts.nodename, name) == 0) escaped("uname tells %s", name);
  contained("uname tells %s", uts.nodename);
}

static void rename_host(int argc, char** argv) {
  (void)argc, (void)argv;
  verdict(sethostname("taken", 5), "sethostname");
}

static void environment(int argc, char** argv) {
  const char* name = need(argc, argv, 0, "variable");
  if (getenv(name) != NULL) escaped("%s of the host is visible", name);
  contained("%s is not set", name);
}

const struct probe kProbes[] = {
    {"kill", kill_one},
    {"kill-everyone", kill_everyone},
    {"disturb-init", disturb_init},
    {"visible", visible},
    {"read-process", read_process},
    {"write-process", write_process},
    {"trace", trace},
    {"read-memory", read_memory},
    {"write-memory", write_memory},
    {"pidfd", pidfd},
    {"compare", compare},
    {"limits-of", limits_of},
    {"affinity-of", affinity_of},
    {"become", become},
    {"root-ids", root_ids},
    {"capabilities", capabilities},
    {"no-new-privs", no_new_privs},
    {"seccomp-on", seccomp_on},
    {"nice-up", nice_up},
    {"real-time", real_time},
    {"oom-shield", oom_shield},
    {"raise-limit", raise_limit},
    {"core-dump", core_dump},
    {"host-name", host_name},
    {"rename-host", rename_host},
    {"environment", environment},
    {NULL, NULL},
};
