// Programs whose outcome is known: one for each outcome, and a twin that almost triggers it.
//
// These attack nothing. They are as small as can be, so that what a test measures is the verdict.
#include "probe.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <time.h>

static void leave(int argc, char** argv) { _exit((int)need_number(argc, argv, 0, "code")); }

// die SIGNAL: the signal's default action ends us, sent by ourselves.
static void die(int argc, char** argv) {
  int number = (int)need_number(argc, argv, 0, "signal");
  signal(number, SIG_DFL);
  kill(getpid(), number);
  pause();
}

static void null_pointer(int argc, char** argv) {
  (void)argc, (void)argv;
  *(volatile int*)8 = 1;
}

static void nap(int argc, char** argv) {
  long ms = need_number(argc, argv, 0, "milliseconds");
  struct timespec left = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
  _exit(0);
}

// spin MS [CHILDREN]: uses that much processor time in all, then exits 0.
static void spin(int argc, char** argv) {
  long ms = need_number(argc, argv, 0, "milliseconds");
  long children = argc > 1 ? need_number(argc, argv, 1, "children") : 0;
  for (long i = 1; i < children; ++i) {
    if (fork() == 0) break;
  }
  struct timespec spent;
  do {
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  } while (spent.tv_sec * 1000 + spent.tv_nsec / 1000000 < ms);
  while (wait(NULL) > 0) {}
  _exit(0);
}

static void fill(size_t bytes) {
  char* at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) _exit(9);
  for (size_t i = 0; i < bytes; i += 4096) at[i] = 1;
}

static void allocate(int argc, char** argv) {
  fill((size_t)need_number(argc, argv, 0, "bytes"));
  _exit(0);
}

// The child dies of too much memory; the parent does not care and exits 0.
static void child_allocates(int argc, char** argv) {
  size_t bytes = (size_t)need_number(argc, argv, 0, "bytes");
  pid_t child = fork();
  if (child == 0) {
    // The kernel picks the biggest; make sure that it is us.
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "1000", 4) < 0) _exit(9);
    fill(bytes);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  _exit(0);
}

// map-fails BYTES: an allocation is refused (address space), which is handled.
static void map_fails(int argc, char** argv) {
  size_t bytes = (size_t)need_number(argc, argv, 0, "bytes");
  void* at = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  _exit(at == MAP_FAILED ? 0 : 1);
}

// print FD BYTES: exactly that many bytes, then exit 0.
static void print(int argc, char** argv) {
  int fd = (int)need_number(argc, argv, 0, "fd");
  long left = need_number(argc, argv, 1, "bytes");
  static char block[65536];
  memset(block, 'x', sizeof block);
  while (left > 0) {
    size_t part = left < (long)sizeof block ? (size_t)left : sizeof block;
    ssize_t n = write(fd, block, part);
    if (n <= 0) _exit(8);
    left -= n;
  }
  _exit(0);
}

// write BYTES CODE: fills a file; CODE is what we exit with when the disk is full.
static void store(int argc, char** argv) {
  long left = need_number(argc, argv, 0, "bytes");
  int code = (int)need_number(argc, argv, 1, "exit code");
  static char block[65536];
  int fd = open("big", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) _exit(9);
  while (left > 0) {
    ssize_t n = write(fd, block, left < (long)sizeof block ? (size_t)left : sizeof block);
    if (n < 0) _exit(errno == ENOSPC || errno == EDQUOT ? code : 10);
    left -= n;
  }
  _exit(0);
}

// files COUNT CODE: makes that many files; CODE when no more fit.
static void files(int argc, char** argv) {
  long count = need_number(argc, argv, 0, "files");
  int code = (int)need_number(argc, argv, 1, "exit code");
  for (long i = 0; i < count; ++i) {
    char name[32];
    snprintf(name, sizeof name, "f%ld", i);
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) _exit(errno == ENOSPC || errno == EDQUOT ? code : 10);
    close(fd);
  }
  _exit(0);
}

// fork COUNT CODE: keeps that many children; CODE when no more can be had.
static void spawn(int argc, char** argv) {
  long count = need_number(argc, argv, 0, "children");
  int code = (int)need_number(argc, argv, 1, "exit code");
  int result = 0;
  int hold[2];
  if (pipe(hold) != 0) _exit(9);
  for (long i = 0; i < count && result == 0; ++i) {
    pid_t child = fork();
    if (child < 0) result = errno == EAGAIN ? code : 10;
    if (child == 0) {
      char byte;
      close(hold[1]);
      _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    if (child < 0 && code == 0) break;
  }
  close(hold[1]);
  while (wait(NULL) > 0) {}
  _exit(result);
}

// denied CALL CODE: makes a call that the policy refuses; exits CODE when it was.
static void denied(int argc, char** argv) {
  const char* call = need(argc, argv, 0, "call");
  int code = (int)need_number(argc, argv, 1, "exit code");
  long result = -1;
  if (strcmp(call, "ptrace") == 0) result = ptrace(PTRACE_ATTACH, 1, NULL, NULL);
  if (strcmp(call, "unshare") == 0) result = syscall(SYS_unshare, 0x10000000);
  if (strcmp(call, "mount") == 0) result = syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL);
  if (strcmp(call, "unknown") == 0) result = syscall(1000);
  _exit(result < 0 ? code : 0);
}

static void foreign(int argc, char** argv) {
  (void)argc, (void)argv;
#if defined(__x86_64__)
  long result = 20;
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
#endif
  _exit(0);
}

// polite CODE: sleeps until SIGTERM and exits with CODE then.
static volatile sig_atomic_t g_asked;
static void asked(int number) {
  (void)number;
  g_asked = 1;
}
static void polite(int argc, char** argv) {
  int code = (int)need_number(argc, argv, 0, "exit code");
  struct sigaction action = {.sa_handler = asked};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  if (write(1, "READY\n", 6) != 6) _exit(9);
  while (!g_asked) pause();
  _exit(code);
}

const struct probe kProbes[] = {
    {"exit", leave},
    {"die", die},
    {"null-pointer", null_pointer},
    {"sleep", nap},
    {"spin", spin},
    {"allocate", allocate},
    {"child-allocates", child_allocates},
    {"map-fails", map_fails},
    {"print", print},
    {"write", store},
    {"files", files},
    {"fork", spawn},
    {"denied", denied},
    {"foreign", foreign},
    {"polite", polite},
    {NULL, NULL},
};
