// The file system of the floor program: the mounts that airlock makes, one plain call after
// another.
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "floor.h"

enum { kReadOnly = MS_RDONLY | MS_NOSUID | MS_NODEV };

static const char* const kTrees[] = {"usr"};
static const char* const kLinks[][2] = {{"bin", "usr/bin"},
                                        {"sbin", "usr/sbin"},
                                        {"lib", "usr/lib"},
                                        {"lib64", "usr/lib64"},
                                        {"dev/fd", "/proc/self/fd"},
                                        {"dev/stdin", "/proc/self/fd/0"},
                                        {"dev/stdout", "/proc/self/fd/1"},
                                        {"dev/stderr", "/proc/self/fd/2"},
                                        {"dev/ptmx", "pts/ptmx"}};
static const char* const kFolders[] = {"usr",     "etc",  "etc/ssl",   "dev",       "dev/pts",
                                       "dev/shm", "proc", "workspace", "tmp",       "output",
                                       "input",   "run",  "var",       "var/empty", ".old"};
static const char* const kEtcFiles[] = {"etc/ld.so.cache", "etc/localtime"};
static const char* const kEtcFolders[] = {"etc/ssl/certs", "etc/alternatives"};
static const char* const kMadeFiles[] = {"etc/passwd",   "etc/group",       "etc/hosts",
                                         "etc/hostname", "etc/resolv.conf", "etc/nsswitch.conf"};
static const char* const kDevices[] = {"dev/null",   "dev/zero",    "dev/full",
                                       "dev/random", "dev/urandom", "dev/tty"};
static const char* const kMasks[] = {"proc/kcore", "proc/keys", "proc/timer_list",
                                     "proc/sched_debug"};
static const char* const kWorkspace[] = {"workspace", "tmp", "output", "dev/shm"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int fail(struct FloorFailure* failure, const char* step) {
  failure->step = step;
  failure->error = errno;
  return -1;
}

static int make_file(const char* path, const char* text, size_t size) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (fd < 0) return -1;
  const ssize_t written = size > 0 ? write(fd, text, size) : 0;
  close(fd);
  return written == (ssize_t)size ? 0 : -1;
}

// "usr" inside is "/usr" of the host. The mount point must exist.
static int bind(const char* inside, unsigned long extra_flags) {
  char host[64] = "/";
  for (size_t i = 0; inside[i] != '\0' && i < sizeof host - 2; ++i) host[i + 1] = inside[i];
  if (mount(host, inside, NULL, MS_BIND | MS_REC, NULL) != 0) return -1;
  return mount(NULL, inside, NULL, MS_BIND | MS_REMOUNT | MS_NOSUID | extra_flags, NULL);
}

static int is_there(const char* inside) {
  char host[64] = "/";
  for (size_t i = 0; inside[i] != '\0' && i < sizeof host - 2; ++i) host[i + 1] = inside[i];
  return access(host, F_OK) == 0;
}

static int make_root(void) {
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return -1;
  if (mount("floor", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m,nr_inodes=256") !=
      0) {
    return -1;
  }
  if (chdir("/tmp") != 0) return -1;
  for (size_t i = 0; i < COUNT(kFolders); ++i) {
    if (mkdir(kFolders[i], 0755) != 0) return -1;
  }
  return 0;
}

static int show_host(void) {
  for (size_t i = 0; i < COUNT(kTrees); ++i) {
    if (bind(kTrees[i], kReadOnly) != 0) return -1;
  }
  for (size_t i = 0; i < COUNT(kLinks); ++i) {
    if (symlink(kLinks[i][1], kLinks[i][0]) != 0) return -1;
  }
  return 0;
}

static int make_etc(void) {
  static const char kText[] =
      "root:x:0:0:root:/workspace:/bin/sh\nsandbox:x:1000:1000::/workspace:/bin/sh\n";
  for (size_t i = 0; i < COUNT(kMadeFiles); ++i) {
    if (make_file(kMadeFiles[i], kText, sizeof kText - 1) != 0) return -1;
  }
  for (size_t i = 0; i < COUNT(kEtcFiles); ++i) {
    if (!is_there(kEtcFiles[i])) continue;
    if (make_file(kEtcFiles[i], "", 0) != 0 || bind(kEtcFiles[i], kReadOnly) != 0) return -1;
  }
  for (size_t i = 0; i < COUNT(kEtcFolders); ++i) {
    if (!is_there(kEtcFolders[i])) continue;
    if (mkdir(kEtcFolders[i], 0755) != 0 || bind(kEtcFolders[i], kReadOnly) != 0) return -1;
  }
  return 0;
}

static int make_devices(void) {
  for (size_t i = 0; i < COUNT(kDevices); ++i) {
    if (make_file(kDevices[i], "", 0) != 0 || bind(kDevices[i], MS_NOEXEC) != 0) return -1;
  }
  return 0;
}

static int make_workspace(void) {
  if (mkdir(".workspace", 0755) != 0) return -1;
  if (mount("floor", ".workspace", "tmpfs", MS_NOSUID | MS_NODEV,
            "mode=755,size=64m,nr_inodes=16384") != 0 ||
      chdir(".workspace") != 0) {
    return -1;
  }
  for (size_t i = 0; i < COUNT(kWorkspace); ++i) {
    const char* name = kWorkspace[i][0] == 'd' ? "shm" : kWorkspace[i];
    if (mkdir(name, 0777) != 0 || chown(name, 1000, 1000) != 0) return -1;
    char target[32] = "../";
    for (size_t k = 0; kWorkspace[i][k] != '\0'; ++k) target[k + 3] = kWorkspace[i][k];
    if (mount(name, target, NULL, MS_BIND, NULL) != 0) return -1;
  }
  return chdir("..") == 0 ? umount2(".workspace", MNT_DETACH) : -1;
}

static int hide_in_proc(void) {
  for (size_t i = 0; i < COUNT(kMasks); ++i) {
    if (access(kMasks[i], F_OK) != 0) continue;
    if (mount("/dev/null", kMasks[i], NULL, MS_BIND, NULL) != 0) return -1;
  }
  return 0;
}

static int enter_root(void) {
  if (syscall(SYS_pivot_root, ".", ".old") != 0 || chdir("/") != 0) return -1;
  if (umount2("/.old", MNT_DETACH) != 0 || rmdir("/.old") != 0) return -1;
  return mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | kReadOnly, NULL);
}

int floor_enter_view(struct FloorParts parts, struct FloorFailure* failure) {
  enum { kPlain = MS_NOSUID | MS_NOEXEC };
  if (make_root() != 0) return fail(failure, "root");
  if (floor_has(parts, kPartView) && show_host() != 0) return fail(failure, "view");
  if (floor_has(parts, kPartEtc) && make_etc() != 0) return fail(failure, "etc");
  if (floor_has(parts, kPartDev) && make_devices() != 0) return fail(failure, "dev");
  if (floor_has(parts, kPartDevpts) &&
      mount("devpts", "dev/pts", "devpts", kPlain, "newinstance,ptmxmode=0666,mode=620") != 0) {
    return fail(failure, "devpts");
  }
  if (floor_has(parts, kPartProc) &&
      mount("proc", "proc", "proc", kPlain | MS_NODEV, "hidepid=2") != 0) {
    return fail(failure, "proc");
  }
  if (floor_has(parts, kPartMasks) && hide_in_proc() != 0) return fail(failure, "masks");
  if (floor_has(parts, kPartWorkspace) && make_workspace() != 0) return fail(failure, "workspace");
  if (enter_root() != 0) return fail(failure, "pivot_root");
  return 0;
}
