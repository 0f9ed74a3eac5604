// The file system of the floor program: the mounts that airlock makes, one plain call after
// another.
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "floor.h"

enum { kReadOnly = MS_RDONLY | MS_NOSUID | MS_NODEV };

enum { kPathsMax = 64 };

// Paths of the host without their first '/', so that they are also the paths below the new root.
struct Paths {
  const char* at[kPathsMax];
  size_t count;
};
static struct Paths etc = {{"etc/ld.so.cache", "etc/alternatives", "etc/ssl/certs"}, 3};
static struct Paths devices = {
    {"dev/null", "dev/zero", "dev/full", "dev/random", "dev/urandom", "dev/tty"}, 6};
static struct Paths masks = {{"proc/cmdline", "proc/keys", "proc/bus", "proc/irq"}, 4};

static const char* const kLinks[][2] = {
    {"bin", "usr/bin"},
    {"sbin", "usr/sbin"},
    {"lib", "usr/lib"},
    {"lib64", "usr/lib64"},
    {"lib32", "usr/lib32"},
    {"etc/localtime", "/usr/share/zoneinfo/Etc/UTC"},
    {"etc/mtab", "../proc/self/mounts"},
    {"etc/os-release", "../usr/lib/os-release"},
    {"dev/fd", "/proc/self/fd"},
    {"dev/stdin", "/proc/self/fd/0"},
    {"dev/stdout", "/proc/self/fd/1"},
    {"dev/stderr", "/proc/self/fd/2"},
    {"dev/ptmx", "pts/ptmx"},
};
static const char* const kFolders[] = {"usr",     "etc",   "dev",   "dev/pts",
                                       "dev/shm", "proc",  "tmp",   "workspace",
                                       "output",  "input", "build", ".empty"};
static const char* const kMadeFiles[] = {
    "etc/passwd",   "etc/group",         "etc/hosts",  "etc/hostname",    "etc/host.conf",
    "etc/timezone", "etc/nsswitch.conf", "etc/shells", "etc/resolv.conf", "etc/machine-id"};
static const char* const kWorkspace[] = {"workspace", "tmp", "output", "dev/shm", "input", "build"};

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

// The mount point like the thing on the host that comes there, and the folders above it.
static int make_target(const char* inside) {
  char path[64] = "/";
  for (size_t i = 0; inside[i] != '\0' && i < sizeof path - 2; ++i) path[i + 1] = inside[i];
  struct stat status;
  if (stat(path, &status) != 0) return -1;
  for (char* slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdir(path + 1, 0755) != 0 && errno != EEXIST) return -1;
    *slash = '/';
  }
  return S_ISDIR(status.st_mode) ? mkdir(inside, 0755) : make_file(inside, "", 0);
}

static int make_root(void) {
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return -1;
  if (mount("floor", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=2m,nr_inodes=1024") !=
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
  if (bind("usr", kReadOnly) != 0) return -1;
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
  for (size_t i = 0; i < etc.count; ++i) {
    if (make_target(etc.at[i]) != 0 || bind(etc.at[i], kReadOnly) != 0) return -1;
  }
  return 0;
}

static int make_devices(void) {
  for (size_t i = 0; i < devices.count; ++i) {
    if (make_file(devices.at[i], "", 0) != 0 || bind(devices.at[i], MS_NOEXEC) != 0) return -1;
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
  for (size_t i = 0; i < masks.count; ++i) {
    struct stat status;
    if (stat(masks.at[i], &status) != 0) return -1;
    const char* cover = S_ISDIR(status.st_mode) ? ".empty" : "/dev/null";
    if (mount(cover, masks.at[i], NULL, MS_BIND, NULL) != 0) return -1;
  }
  return 0;
}

static int enter_root(void) {
  if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) {
    return -1;
  }
  return mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | kReadOnly, NULL);
}

int floor_read_view(const char* path) {
  FILE* file = fopen(path, "re");
  if (file == NULL) return -1;
  etc.count = devices.count = masks.count = 0;
  char kind[16];
  char name[128];
  int read = 0;
  while ((read = fscanf(file, "%15s /%127s", kind, name)) == 2) {
    struct Paths* paths = kind[0] == 'e' ? &etc : kind[0] == 'd' ? &devices : &masks;
    if (paths->count == kPathsMax) break;
    paths->at[paths->count++] = strdup(name);
  }
  fclose(file);
  return read == EOF ? 0 : -1;
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
