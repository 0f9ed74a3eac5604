// Attacks on what the machine has: processes, memory, disk, output, time.
//
// Each takes the bound that it tries to pass: ESCAPED means that it got past it. Outside the
// sandbox the bound is small enough to harm nobody.
#include "probe.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>

static void end_children(void) {
  int saved = errno;
  signal(SIGTERM, SIG_IGN);
  if (getpgrp() == getpid()) kill(0, SIGTERM);
  errno = saved;
}

static _Noreturn void counted(long got, long wanted, const char* what) {
  if (got >= wanted) escaped("%ld %s", got, what);
  contained("%ld %s, then %s", got, what, errno_name(errno));
}

static void forks(int argc, char** argv) {
  long wanted = need_number(argc, argv, 0, "processes");
  setpgid(0, 0);
  long got = 0;
  for (; got < wanted; ++got) {
    pid_t child = fork();
    if (child < 0) break;
    if (child == 0) {
      pause();
      _exit(0);
    }
  }
  end_children();
  counted(got, wanted, "processes");
}

// Some attacks must never run where nothing stops them.
static void only_inside(void) {
  struct utsname uts;
  if (getuid() == 0 || uname(&uts) != 0 || strcmp(uts.nodename, "airlock") != 0) {
    inconclusive("runs inside the sandbox only");
  }
}

// The real thing: every process forks for ever. Ended only by a limit; never run as a control.
static void fork_endless(int argc, char** argv) {
  (void)argc, (void)argv;
  only_inside();
  for (;;) {
    if (fork() < 0) usleep(1000);
  }
}

static void* idle(void* unused) {
  pause();
  return unused;
}

static void threads(int argc, char** argv) {
  long wanted = need_number(argc, argv, 0, "threads"), got = 0;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 16384);
  pthread_t thread;
  for (; got < wanted; ++got) {
    errno = pthread_create(&thread, &attributes, idle, NULL);
    if (errno != 0) break;
  }
  counted(got, wanted, "threads");
}

static void zombies(int argc, char** argv) {
  long wanted = need_number(argc, argv, 0, "zombies"), got = 0;
  for (; got < wanted; ++got) {
    pid_t child = fork();
    if (child < 0) break;
    if (child == 0) _exit(0);
  }
  counted(got, wanted, "zombies");
}

static void touch(char* memory, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 4096) memory[i] = (char)i;
}

static void memory(int argc, char** argv) {
  const char* kind = need(argc, argv, 0, "kind");
  size_t bytes = (size_t)need_number(argc, argv, 1, "bytes");
  char* at = MAP_FAILED;
  if (strcmp(kind, "anonymous") == 0) {
    at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  } else if (strcmp(kind, "shared") == 0) {
    at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  } else if (strcmp(kind, "memfd") == 0) {
    int fd = memfd_create("bomb", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0) contained("memfd: %s", errno_name(errno));
    at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  } else if (strcmp(kind, "system-v") == 0) {
    int id = shmget(IPC_PRIVATE, bytes, IPC_CREAT | 0600);
    if (id < 0) contained("shmget: %s", errno_name(errno));
    at = shmat(id, NULL, 0);
    shmctl(id, IPC_RMID, NULL);
  }
  if (at == MAP_FAILED) contained("%s: %s", kind, errno_name(errno));
  touch(at, bytes);
  escaped("%zu bytes of %s memory", bytes, kind);
}

// A TCP connection over loopback, both ends ours and both with the largest buffers to be had.
static int connect_to_itself(int pair[2]) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof to;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), most = 1 << 30;
  setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &most, sizeof most);
  if (bind(listener, (struct sockaddr*)&to, size) != 0 || listen(listener, 1) != 0) return -1;
  getsockname(listener, (struct sockaddr*)&to, &size);
  pair[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &most, sizeof most);
  if (pair[1] < 0 || connect(pair[1], (struct sockaddr*)&to, size) != 0) return -1;
  pair[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  close(listener);
  fcntl(pair[1], F_SETFL, O_NONBLOCK);
  return pair[0] < 0 ? -1 : 0;
}

// Fills the buffers of pipes or sockets, which are the kernel's memory.
static void buffers(int argc, char** argv) {
  const char* kind = need(argc, argv, 0, "pipes, sockets or tcp");
  bool pipes = strcmp(kind, "pipes") == 0, tcp = strcmp(kind, "tcp") == 0;
  long wanted = need_number(argc, argv, 1, "bytes"), got = 0;
  static char block[65536];
  while (got < wanted) {
    int pair[2];
    int made = pipes ? pipe2(pair, O_NONBLOCK)
               : tcp ? connect_to_itself(pair)
                     : socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
    if (made != 0) break;
    if (!pipes && !tcp) {
      int size = 8 << 20;
      setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    } else if (pipes) {
      fcntl(pair[1], F_SETPIPE_SZ, 1 << 20);
    }
    for (ssize_t n; (n = write(pair[1], block, sizeof block)) > 0;) got += n;
  }
  counted(got, wanted, "bytes of buffers");
}

// page-cache BYTES LIMIT: how much of a file that was just written stays in memory.
static void page_cache(int argc, char** argv) {
  long bytes = need_number(argc, argv, 0, "bytes"), limit = need_number(argc, argv, 1, "limit");
  static char block[1 << 20];
  int fd = open("page-cache-probe", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) inconclusive("create: %s", errno_name(errno));
  long got = 0;
  for (ssize_t n; got < bytes && (n = write(fd, block, sizeof block)) > 0;) got += n;
  int saved = errno;
  char* map = mmap(NULL, (size_t)got, PROT_READ, MAP_SHARED, fd, 0);
  unsigned char* present = malloc((size_t)got / 4096 + 1);
  long resident = 0;
  if (map == MAP_FAILED || mincore(map, (size_t)got, present) != 0) inconclusive("mincore");
  for (long i = 0; i < got / 4096; ++i) resident += (present[i] & 1) * 4096;
  unlink("page-cache-probe");
  if (resident > limit) escaped("%ld bytes of page cache", resident);
  contained("%ld bytes written (%s), %ld in memory", got, errno_name(saved), resident);
}

// disk BYTES DIRECTORY...: writes to each in turn until no more goes in.
static void disk(int argc, char** argv) {
  long wanted = need_number(argc, argv, 0, "bytes"), got = 0;
  static char block[1 << 16];
  need(argc, argv, 1, "directory");
  int last = 0;
  for (int i = 1; i < argc && got < wanted; ++i) {
    char path[4096];
    snprintf(path, sizeof path, "%s/disk-bomb-%d", argv[i], getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (ssize_t n; got < wanted && (n = write(fd, block, sizeof block)) > 0;) got += n;
    last = errno;
  }
  for (int i = 1; i < argc; ++i) {
    char path[4096];
    snprintf(path, sizeof path, "%s/disk-bomb-%d", argv[i], getpid());
    unlink(path);
  }
  errno = last;
  counted(got, wanted, "bytes on disk");
}

static void inodes(int argc, char** argv) {
  long wanted = need_number(argc, argv, 0, "files"), got = 0;
  mkdir("inode-bomb", 0700);
  if (chdir("inode-bomb") != 0) inconclusive("chdir: %s", errno_name(errno));
  for (; got < wanted; ++got) {
    char name[32];
    snprintf(name, sizeof name, "%ld", got);
    int fd = open(name, O_WRONLY | O_CREAT, 0600);
    if (fd < 0) break;
    close(fd);
  }
  counted(got, wanted, "files");
}

static void deep(int argc, char** argv) {
  long wanted = need_number(argc, argv, 0, "levels"), got = 0;
  for (; got < wanted; ++got) {
    if (mkdir("d", 0700) != 0 || chdir("d") != 0) break;
  }
  counted(got, wanted, "levels of directories");
}

static void output(int argc, char** argv) {
  int fd = (int)need_number(argc, argv, 0, "fd");
  long wanted = need_number(argc, argv, 1, "bytes"), got = 0;
  static char block[65536];
  memset(block, 'x', sizeof block - 1);
  block[sizeof block - 1] = '\n';
  for (ssize_t n; got < wanted && (n = write(fd, block, sizeof block)) > 0;) got += n;
  counted(got, wanted, "bytes of output");
}

// instances HOW MANY [MS]: inotify instances, which the kernel counts for whoever made the user
// namespace; held for a while, so that the runner can look whether the host still gets one.
static void instances(int argc, char** argv) {
  long wanted = need_number(argc, argv, 0, "instances"), got = 0;
  while (got < wanted && inotify_init1(IN_CLOEXEC) >= 0) ++got;
  int saved = errno;
  dprintf(1, "READY %ld\n", got);
  if (argc > 1) usleep((useconds_t)need_number(argc, argv, 1, "milliseconds") * 1000);
  errno = saved;
  counted(got, wanted, "inotify instances");
}

// terminals HOW MANY: pseudo terminals, of which the whole machine has a few thousand.
static void terminals(int argc, char** argv) {
  long wanted = need_number(argc, argv, 0, "terminals"), got = 0;
  while (got < wanted && open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC) >= 0) ++got;
  counted(got, wanted, "terminals");
}

static void open_files(int argc, char** argv) {
  long wanted = need_number(argc, argv, 0, "files"), got = 0;
  while (got < wanted && dup(0) >= 0) ++got;
  counted(got, wanted, "open files");
}

static void lock_memory(int argc, char** argv) {
  size_t bytes = (size_t)need_number(argc, argv, 0, "bytes");
  char* at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  verdict(at == MAP_FAILED ? -1 : mlock(at, bytes), "mlock");
}

// arguments BYTES: were we really given that many?
static void arguments(int argc, char** argv) {
  long wanted = need_number(argc, argv, 0, "bytes"), got = 0;
  for (int i = 0; i < argc; ++i) got += (long)strlen(argv[i]) + 1;
  for (char** e = environ; *e != NULL; ++e) got += (long)strlen(*e) + 1;
  if (got >= wanted) escaped("%ld bytes of arguments and environment", got);
  contained("%ld bytes", got);
}

static void burn(void) {
  for (volatile unsigned long i = 0;; ++i) {}
}

// busy N: N children that compute; with `churn`, children that live shorter than any poll.
static void busy(int argc, char** argv) {
  long count = need_number(argc, argv, 0, "children");
  bool churn = argc > 1;
  for (long i = 0; i < count; ++i) {
    if (fork() != 0) continue;
    if (!churn) burn();
    for (;;) {
      pid_t child = fork();
      if (child == 0) {
        for (volatile int n = 0; n < 2000000; ++n) {}
        _exit(0);
      }
      waitpid(child, NULL, 0);
    }
  }
  for (;;) pause();
}

// used MS: the control of `busy`: without a limit a child really gets that much processor time.
static void used(int argc, char** argv) {
  long wanted = need_number(argc, argv, 0, "milliseconds");
  pid_t child = fork();
  if (child == 0) {
    struct timespec spent;
    do {
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    } while (spent.tv_sec * 1000 + spent.tv_nsec / 1000000 < wanted);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status)) escaped("%ld ms of processor time", wanted);
  contained("ended early: status %#x", (unsigned)status);
}

// outlive MARKER MODE: leaves a process behind that carries MARKER in its name.
static void outlive(int argc, char** argv) {
  const char* marker = need(argc, argv, 0, "marker");
  const char* mode = need(argc, argv, 1, "double-fork, daemon, stopped or stubborn");
  pid_t child = fork();
  if (child < 0) contained("fork: %s", errno_name(errno));
  if (child == 0) {
    if (strcmp(mode, "daemon") == 0) setsid();
    if (fork() != 0) _exit(0);
    for (int s = 1; strcmp(mode, "stubborn") == 0 && s < 32; ++s) signal(s, SIG_IGN);
    // A daemon keeps the pipes open, so that who waits for their end waits for ever.
    execl("/proc/self/exe", marker, "linger", strcmp(mode, "stopped") == 0 ? "stop" : "sleep",
          (char*)NULL);
    _exit(1);
  }
  waitpid(child, NULL, 0);
  usleep(50 * 1000);
  dprintf(1, "LEFT %s\n", marker);
  _exit(0);
}

static void linger(int argc, char** argv) {
  if (argc > 0 && strcmp(argv[0], "stop") == 0) raise(SIGSTOP);
  sleep(20);
  _exit(0);
}

// stubborn: ignores what can be ignored and never ends; `stopped` stops itself.
static void stay(int argc, char** argv) {
  const char* mode = need(argc, argv, 0, "stubborn, stopped or clock");
  if (strcmp(mode, "clock") == 0) {
    only_inside();
    struct timespec past = {0, 0};
    clock_settime(CLOCK_REALTIME, &past);
    clock_settime(CLOCK_MONOTONIC, &past);
  }
  for (int s = 1; s < 65; ++s) signal(s, SIG_IGN);
  if (strcmp(mode, "stopped") == 0) raise(SIGSTOP);
  for (;;) sleep(1);
}

// survive MODE: the control of `stay`: shows that a polite request does not end it.
static void survive(int argc, char** argv) {
  pid_t child = fork();
  if (child == 0) stay(argc, argv);
  usleep(100 * 1000);
  kill(child, SIGTERM);
  usleep(100 * 1000);
  bool alive = waitpid(child, NULL, WNOHANG) == 0;
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  if (alive) escaped("SIGTERM did not end it");
  contained("SIGTERM ended it");
}

static void bad_bytes(int argc, char** argv) {
  (void)argc, (void)argv;
  unsigned char all[256];
  for (int i = 0; i < 256; ++i) all[i] = (unsigned char)i;
  if (write(1, all, sizeof all) != sizeof all) _exit(3);
  _exit(0);
}

const struct probe kProbes[] = {
    {"forks", forks},
    {"fork-endless", fork_endless},
    {"threads", threads},
    {"zombies", zombies},
    {"memory", memory},
    {"buffers", buffers},
    {"page-cache", page_cache},
    {"disk", disk},
    {"inodes", inodes},
    {"deep", deep},
    {"output", output},
    {"open-files", open_files},
    {"instances", instances},
    {"terminals", terminals},
    {"lock-memory", lock_memory},
    {"arguments", arguments},
    {"busy", busy},
    {"used", used},
    {"outlive", outlive},
    {"linger", linger},
    {"stay", stay},
    {"survive", survive},
    {"bad-bytes", bad_bytes},
    {NULL, NULL},
};
