// Attacks on the kernel's surface: system calls that have no place in a sandbox.
//
// Calls that would change the machine are made with an argument that is refused only after the
// permission check: then EPERM (or ENOSYS) means contained, and the other errno means permitted.
#include "probe.h"

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sys/io.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/quota.h>
#include <sys/reboot.h>
#include <sys/swap.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

static void io_uring(int argc, char** argv) {
  (void)argc, (void)argv;
  char parameters[120] = {0};
  verdict(syscall(SYS_io_uring_setup, 4, parameters), "io_uring_setup");
}

static void bpf(int argc, char** argv) {
  const char* kind = need(argc, argv, 0, "map or program");
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  if (strcmp(kind, "map") == 0) {
    attributes.map_type = BPF_MAP_TYPE_ARRAY;
    attributes.key_size = attributes.value_size = 4;
    attributes.max_entries = 1;
    verdict(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes), "bpf map");
  }
  const uint64_t code[] = {0x00000000000000b7ull, 0x95ull};  // r0 = 0; exit
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = (uint64_t)(uintptr_t)code;
  attributes.insn_cnt = 2;
  attributes.license = (uint64_t)(uintptr_t)"GPL";
  verdict(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes), "bpf program");
}

static void perf(int argc, char** argv) {
  (void)argc, (void)argv;
  struct perf_event_attr attributes = {
      .type = PERF_TYPE_SOFTWARE, .size = sizeof attributes, .config = PERF_COUNT_SW_CPU_CLOCK};
  attributes.exclude_kernel = argc > 0;
  verdict(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0), "perf_event_open");
}

static void user_fault(int argc, char** argv) {
  (void)argc, (void)argv;
  int flags = argc > 0 ? UFFD_USER_MODE_ONLY : 0;
  verdict(syscall(SYS_userfaultfd, O_CLOEXEC | flags), "userfaultfd");
}

static void add_key(int argc, char** argv) {
  (void)argc, (void)argv;
  long key = syscall(SYS_add_key, "user", "airlock-probe", "x", 1, -2 /* process keyring */);
  verdict(key, "add_key");
}

static void key_control(int argc, char** argv) {
  (void)argc, (void)argv;
  verdict(syscall(SYS_keyctl, 0 /* get id */, -4 /* user keyring */, 1, 0, 0), "keyctl");
}

static void find_key(int argc, char** argv) {
  const char* name = need(argc, argv, 0, "description");
  verdict(syscall(SYS_request_key, "user", name, NULL, 0), "request_key");
}

static void kexec(int argc, char** argv) {
  (void)argc, (void)argv;
  verdict_or(syscall(SYS_kexec_load, 0, 100000, NULL, 0xffff), EINVAL, "kexec_load");
}

static void kexec_file(int argc, char** argv) {
  (void)argc, (void)argv;
  verdict_or(syscall(SYS_kexec_file_load, -1, -1, 0, NULL, 0xffff), EINVAL, "kexec_file_load");
}

static void module(int argc, char** argv) {
  const char* call = need(argc, argv, 0, "call");
  if (strcmp(call, "init") == 0) {
    verdict_or(syscall(SYS_init_module, "not a module", 12, ""), ENOEXEC, "init_module");
  }
  if (strcmp(call, "finit") == 0) {
    verdict_or(syscall(SYS_finit_module, -1, "", 0), EBADF, "finit_module");
  }
  verdict_or(syscall(SYS_delete_module, "airlock_no_such", O_NONBLOCK), ENOENT, "delete_module");
}

static void restart_machine(int argc, char** argv) {
  (void)argc, (void)argv;
  verdict_or(syscall(SYS_reboot, 0, 0, 0, NULL), EINVAL, "reboot");
}

static void swap(int argc, char** argv) {
  const char* call = need(argc, argv, 0, "on or off");
  if (strcmp(call, "on") == 0) verdict_or(swapon("/airlock-no-such", 0), ENOENT, "swapon");
  verdict_or(swapoff("/airlock-no-such"), ENOENT, "swapoff");
}

static void account(int argc, char** argv) {
  (void)argc, (void)argv;
  verdict_or(acct("/airlock-no-such"), ENOENT, "acct");
}

static void quota(int argc, char** argv) {
  (void)argc, (void)argv;
  struct dqblk block = {0};
  long result = quotactl(QCMD(Q_SETQUOTA, USRQUOTA), "/airlock-no-such", 0, (char*)&block);
  if (result < 0 && (errno == ENOENT || errno == ENOTBLK)) {
    // The device is looked up first, so the answer alone does not tell; the call was let through.
    escaped("quotactl reached the kernel: %s", errno_name(errno));
  }
  verdict(result, "quotactl");
}

static void set_clock(int argc, char** argv) {
  const char* call = need(argc, argv, 0, "settimeofday, adjtimex or clock_settime");
  if (strcmp(call, "settimeofday") == 0) {
    struct timezone zone = {.tz_minuteswest = 99999};
    verdict_or(settimeofday(NULL, &zone), EINVAL, "settimeofday");
  }
  if (strcmp(call, "adjtimex") == 0) {
    struct timex change = {.modes = ADJ_TICK, .tick = 1};
    verdict_or(adjtimex(&change), EINVAL, "adjtimex");
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  verdict(clock_settime(CLOCK_REALTIME, &now), "clock_settime");
}

static void ports(int argc, char** argv) {
  const char* call = need(argc, argv, 0, "iopl or ioperm");
  verdict(strcmp(call, "iopl") == 0 ? iopl(3) : ioperm(0x80, 1, 1), call);
}

static void segment(int argc, char** argv) {
  (void)argc, (void)argv;
  struct {
    unsigned entry, base, limit, flags;
  } descriptor = {0, 0, 0xfffff, 0x51};
  verdict(syscall(SYS_modify_ldt, 1, &descriptor, sizeof descriptor), "modify_ldt");
}

static void persona(int argc, char** argv) {
  (void)argc, (void)argv;
  verdict(personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC), "personality");
}

static void kernel_log(int argc, char** argv) {
  (void)argc, (void)argv;
  char text[4096];
  verdict(klogctl(3 /* read all */, text, sizeof text), "syslog");
}

static void move_pages_of(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  unsigned long nodes = 1;
  verdict(syscall(SYS_migrate_pages, (int)pid, 2, &nodes, &nodes), "migrate_pages");
}

#if defined(__x86_64__)
static void call_int80(void* context) {
  (void)context;
  long result = 20;  // getpid of i386
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
  _exit(result == getpid() ? 42 : 0);
}

static void call_x32(void* context) {
  (void)context;
  _exit(syscall(0x40000000 | SYS_getpid) == getpid() ? 42 : 0);
}

static void foreign(int argc, char** argv) {
  const char* kind = need(argc, argv, 0, "int80 or x32");
  int status = in_child(strcmp(kind, "int80") == 0 ? call_int80 : call_x32, NULL);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 42) escaped("%s answered", kind);
  if (WIFSIGNALED(status)) contained("killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
  contained("no answer: status %#x", (unsigned)status);
}
#endif

// memfd-exec: what runs from memory must be confined as its parent is.
static void memory_exec(int argc, char** argv) {
  (void)argc, (void)argv;
  int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  int to = memfd_create("probe", 0);
  if (to < 0) contained("memfd_create: %s", errno_name(errno));
  char bytes[65536];
  for (ssize_t n; (n = read(from, bytes, sizeof bytes)) > 0;) {
    if (write(to, bytes, (size_t)n) != n) inconclusive("write: %s", errno_name(errno));
  }
  pid_t child = fork();
  if (child == 0) {
    char* arguments[] = {"probe", "after-memfd", NULL};
    fexecve(to, arguments, environ);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 42) _exit(42);
  contained("status %#x", (unsigned)status);
}

static void after_memfd(int argc, char** argv) {
  (void)argc, (void)argv;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) escaped("run from memory without no_new_privs");
  verdict(syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */), "unshare from memory");
}

static void call_number(void* number) {
  long result = syscall(*(const int*)number, -1L, -1L, -1L, -1L, -1L, -1L);
  _exit(result >= 0 || (errno != ENOSYS && errno != EPERM) ? 42 : 0);
}

// Calls newer than the libraries of Debian 12, and numbers that no kernel has yet: what no rule
// names must not reach the kernel. (uprobe and uretprobe are missing here: kernels that have them
// let them pass every filter, and they end a program that makes them itself.)
static void newest(int argc, char** argv) {
  (void)argc, (void)argv;
  int numbers[] = {457, 458, 459, 460, 461, 467, 470, 471, 472, 473, 480, 500, 547, 1000};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
    int status = in_child(call_number, &numbers[i]);
    if (status != 0) escaped("system call %d reached the kernel: status %#x", numbers[i], status);
  }
  contained("all of them ENOSYS or EPERM");
}

const struct probe kProbes[] = {
    {"io-uring", io_uring},
    {"bpf", bpf},
    {"perf", perf},
    {"user-fault", user_fault},
    {"add-key", add_key},
    {"key-control", key_control},
    {"find-key", find_key},
    {"kexec", kexec},
    {"kexec-file", kexec_file},
    {"module", module},
    {"reboot", restart_machine},
    {"swap", swap},
    {"account", account},
    {"quota", quota},
    {"set-clock", set_clock},
    {"ports", ports},
    {"segment", segment},
    {"persona", persona},
    {"kernel-log", kernel_log},
    {"move-pages", move_pages_of},
#if defined(__x86_64__)
    {"foreign", foreign},
#endif
    {"memory-exec", memory_exec},
    {"after-memfd", after_memfd},
    {"newest", newest},
    {NULL, NULL},
};
