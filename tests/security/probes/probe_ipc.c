// Attacks through shared objects of the kernel: what the host or another sandbox holds by name must
// not be found, and no lock or watch may carry a bit from one sandbox to the next.
//
// `hold KEY NAME` is not a probe: it makes the objects on the host (or inside another sandbox),
// prints READY, and removes them when its stdin ends.
#include "probe.h"

#include <mqueue.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

static void hold(int argc, char** argv) {
  key_t key = (key_t)need_number(argc, argv, 0, "key");
  const char* name = need(argc, argv, 1, "name");
  char slash[256];
  snprintf(slash, sizeof slash, "/%s", name);
  int memory = shmget(key, 4096, IPC_CREAT | 0666);
  int semaphores = semget(key, 1, IPC_CREAT | 0666);
  int messages = msgget(key, IPC_CREAT | 0666);
  mqd_t queue = mq_open(slash, O_CREAT | O_RDWR | O_CLOEXEC, 0666, NULL);
  int shared = shm_open(slash, O_CREAT | O_RDWR, 0666);
  syscall(SYS_add_key, "user", name, "secret", 6, -4 /* user keyring */);
  dprintf(STDOUT_FILENO, "READY %d %d %d %d %d\n", memory, semaphores, messages, queue, shared);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {}
  shmctl(memory, IPC_RMID, NULL);
  semctl(semaphores, 0, IPC_RMID);
  msgctl(messages, IPC_RMID, NULL);
  mq_unlink(slash);
  shm_unlink(slash);
  long ring = syscall(SYS_keyctl, 10 /* search */, -4, "user", name, 0);
  if (ring > 0) syscall(SYS_keyctl, 9 /* unlink */, ring, -4, 0, 0);
  contained("objects removed");
}

static void system_v(int argc, char** argv) {
  const char* kind = need(argc, argv, 0, "shm, sem or msg");
  key_t key = (key_t)need_number(argc, argv, 1, "key");
  if (strcmp(kind, "shm") == 0) verdict(shmget(key, 0, 0), "shmget");
  if (strcmp(kind, "sem") == 0) verdict(semget(key, 0, 0), "semget");
  verdict(msgget(key, 0), "msgget");
}

static void queue(int argc, char** argv) {
  char slash[256];
  snprintf(slash, sizeof slash, "/%s", need(argc, argv, 0, "name"));
  verdict(mq_open(slash, O_RDONLY | O_CLOEXEC), "mq_open");
}

static void shared(int argc, char** argv) {
  char slash[256];
  snprintf(slash, sizeof slash, "/%s", need(argc, argv, 0, "name"));
  verdict(shm_open(slash, O_RDWR, 0), "shm_open");
}

// lock PATH: what another holds a lock on must not be seen as locked.
static void lock(int argc, char** argv) {
  const char* path = need(argc, argv, 0, "path");
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) contained("open: %s", errno_name(errno));
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) contained("the lock of another is not seen");
  if (errno == EWOULDBLOCK) escaped("the lock of another on %s is seen", path);
  contained("flock: %s", errno_name(errno));
}

// lock-hold PATH: holds the lock, says so, until stdin ends.
static void lock_hold(int argc, char** argv) {
  const char* path = need(argc, argv, 0, "path");
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) contained("open: %s", errno_name(errno));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) contained("flock: %s", errno_name(errno));
  dprintf(STDOUT_FILENO, "READY\n");
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {}
  contained("lock released");
}

// watch PATH: sees who else opens a file; the runner opens it again and again meanwhile.
static void watch(int argc, char** argv) {
  const char* path = need(argc, argv, 0, "path");
  int fd = inotify_init1(IN_CLOEXEC);
  if (fd < 0) contained("inotify_init1: %s", errno_name(errno));
  if (inotify_add_watch(fd, path, IN_OPEN | IN_ACCESS | IN_CLOSE) < 0) {
    contained("inotify_add_watch: %s", errno_name(errno));
  }
  struct pollfd wait = {fd, POLLIN, 0};
  if (poll(&wait, 1, 1500) == 1) escaped("saw the host open %s", path);
  contained("saw nothing");
}

static void lease(int argc, char** argv) {
  int fd = open(need(argc, argv, 0, "path"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) contained("open: %s", errno_name(errno));
  verdict(fcntl(fd, F_SETLEASE, F_RDLCK), "F_SETLEASE");
}

static void record_lock(int argc, char** argv) {
  const char* path = need(argc, argv, 0, "path");
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) contained("open: %s", errno_name(errno));
  struct flock probe = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 7, .l_len = 1};
  if (fcntl(fd, F_OFD_GETLK, &probe) != 0) contained("F_OFD_GETLK: %s", errno_name(errno));
  if (probe.l_type != F_UNLCK) escaped("the record lock of another on %s is seen", path);
  contained("no lock of another is seen");
}

// record-hold PATH: a read lock on byte 7 until stdin ends.
static void record_hold(int argc, char** argv) {
  int fd = open(need(argc, argv, 0, "path"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) contained("open: %s", errno_name(errno));
  struct flock mine = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 7, .l_len = 1};
  if (fcntl(fd, F_OFD_SETLK, &mine) != 0) contained("F_OFD_SETLK: %s", errno_name(errno));
  dprintf(STDOUT_FILENO, "READY\n");
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {}
  contained("lock released");
}

const struct probe kProbes[] = {
    {"hold", hold},
    {"system-v", system_v},
    {"queue", queue},
    {"shared", shared},
    {"lock", lock},
    {"lock-hold", lock_hold},
    {"watch", watch},
    {"lease", lease},
    {"record-lock", record_lock},
    {"record-hold", record_hold},
    {NULL, NULL},
};
