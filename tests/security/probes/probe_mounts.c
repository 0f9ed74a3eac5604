// Attacks on mounts, namespaces, /proc, /sys and control groups.
#include "probe.h"

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_statmount
#define SYS_statmount 457
#define SYS_listmount 458
#endif

static void mount_any(int argc, char** argv) {
  const char* kind = need(argc, argv, 0, "file system");
  mkdir("mount-probe", 0700);
  int result = strcmp(kind, "bind") == 0 ? mount("/", "mount-probe", NULL, MS_BIND | MS_REC, NULL)
                                         : mount("none", "mount-probe", kind, 0, NULL);
  int saved = errno;
  if (result == 0) umount2("mount-probe", MNT_DETACH);
  rmdir("mount-probe");
  errno = saved;
  verdict(result, "mount");
}

static void remount_writable(int argc, char** argv) {
  (void)argc, (void)argv;
  const char* places[] = {"/usr", "/", "/proc", "/etc"};
  for (size_t i = 0; i < sizeof places / sizeof *places; ++i) {
    if (mount(NULL, places[i], NULL, MS_REMOUNT | MS_BIND, NULL) == 0 ||
        mount(NULL, places[i], NULL, MS_REMOUNT, NULL) == 0) {
      escaped("remounted %s", places[i]);
    }
  }
  contained("remount: %s", errno_name(errno));
}

static void unmount(int argc, char** argv) {
  (void)argc, (void)argv;
  const char* places[] = {"/proc", "/dev/pts", "/dev", "/proc/kcore", "/usr"};
  for (size_t i = 0; i < sizeof places / sizeof *places; ++i) {
    if (umount2(places[i], MNT_DETACH) == 0) escaped("unmounted %s", places[i]);
  }
  contained("umount2: %s", errno_name(errno));
}

static void pivot(int argc, char** argv) {
  (void)argc, (void)argv;
  // Invalid on purpose: without CAP_SYS_ADMIN it is EPERM before anything is looked at.
  verdict_or(syscall(SYS_pivot_root, "/proc/self/fd/no", "/proc/self/fd/no"), ENOENT, "pivot_root");
}

static void new_mount_api(int argc, char** argv) {
  const char* call = need(argc, argv, 0, "call");
  if (strcmp(call, "fsopen") == 0) verdict(syscall(SYS_fsopen, "tmpfs", 0), "fsopen");
  if (strcmp(call, "open_tree") == 0) {
    verdict(syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */ | AT_RECURSIVE),
            "open_tree");
  }
  if (strcmp(call, "move_mount") == 0) {
    verdict_or(syscall(SYS_move_mount, -1, "", -1, "", 0), ENOENT, "move_mount");
  }
  struct {
    uint64_t set, clear, propagation, userns;
  } attributes = {.clear = 1 /* MOUNT_ATTR_RDONLY */};
  verdict(syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attributes, sizeof attributes), call);
}

static void list_mounts(int argc, char** argv) {
  (void)argc, (void)argv;
  struct {
    uint32_t size, spare;
    uint64_t mount_id, param;
  } request = {.size = 24, .mount_id = UINT64_MAX /* LSMT_ROOT */};
  uint64_t ids[64];
  verdict(syscall(SYS_listmount, &request, ids, 64, 0), "listmount");
}

static const struct {
  const char* name;
  int flag;
} kNamespaces[] = {
    {"user", CLONE_NEWUSER},     {"mnt", CLONE_NEWNS},  {"pid", CLONE_NEWPID},
    {"net", CLONE_NEWNET},       {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},
    {"cgroup", CLONE_NEWCGROUP}, {"time", 0x80},
};

static void unshare_one(int argc, char** argv) {
  const char* name = need(argc, argv, 0, "namespace");
  for (size_t i = 0; i < sizeof kNamespaces / sizeof *kNamespaces; ++i) {
    if (strcmp(name, kNamespaces[i].name) == 0) verdict(unshare(kNamespaces[i].flag), name);
  }
  inconclusive("no such namespace");
}

static void clone_new(int argc, char** argv) {
  const char* how = need(argc, argv, 0, "clone or clone3");
  long child;
  if (strcmp(how, "clone3") == 0) {
    uint64_t arguments[11] = {CLONE_NEWUSER};
    arguments[4] = SIGCHLD;
    child = syscall(SYS_clone3, arguments, sizeof arguments);
  } else {
    child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  }
  if (child == 0) _exit(0);
  if (child > 0) waitpid((pid_t)child, NULL, 0);
  verdict(child, how);
}

static void join(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  const char* kinds[] = {"user", "mnt", "net", "ipc", "uts", "cgroup"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/ns/%s", pid, kinds[i]);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && setns(fd, 0) == 0) escaped("joined %s", path);
  }
  contained("setns: %s", errno_name(errno));
}

// Files that exist but show zeros instead of addresses tell nothing.
static bool tells_addresses(const char* path) {
  FILE* file = fopen(path, "re");
  if (file == NULL) return false;
  char line[512];
  bool tells = false;
  for (int i = 0; i < 200 && !tells && fgets(line, sizeof line, file) != NULL; ++i) {
    const char* digits = line + strspn(line, " ");
    tells = digits[strspn(digits, "0-")] != ' ' && digits[0] != '\n';
  }
  fclose(file);
  return tells;
}

static void proc_masked(int argc, char** argv) {
  (void)argc, (void)argv;
  const char* listings[] = {"/proc/kallsyms", "/proc/iomem", "/proc/ioports", "/proc/modules",
                            "/proc/vmallocinfo"};
  const char* paths[] = {"/proc/kcore",      "/proc/keys",        "/proc/key-users",
                         "/proc/timer_list", "/proc/sched_debug", "/proc/kpagecount",
                         "/proc/kpageflags", "/proc/kpagecgroup", "/proc/slabinfo",
                         "/proc/kmsg",       "/proc/acpi",        "/proc/scsi/scsi",
                         "/proc/interrupts", "/proc/cmdline"};
  for (size_t i = 0; i < sizeof listings / sizeof *listings; ++i) {
    if (tells_addresses(listings[i])) escaped("%s tells addresses", listings[i]);
  }
  for (size_t i = 0; i < sizeof paths / sizeof *paths; ++i) {
    if (can_open(paths[i], O_RDONLY)) escaped("read %s", paths[i]);
  }
  contained("%zu files, last: %s", sizeof paths / sizeof *paths, errno_name(errno));
}

// any-readable PATH...: the host tells of itself through these.
static void any_readable(int argc, char** argv) {
  need(argc, argv, 0, "path");
  for (int i = 0; i < argc; ++i) {
    if (can_open(argv[i], O_RDONLY)) escaped("read %s", argv[i]);
  }
  contained("last: %s", errno_name(errno));
}

static int g_writable;
static char g_first[PATH_MAX];

// Some files can be opened by everybody and refuse the write: what was read is written back.
static bool takes_a_write(const char* path) {
  int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return can_open(path, O_WRONLY);
  char text[4096];
  ssize_t size = pread(fd, text, sizeof text, 0);
  bool taken = size > 0 && pwrite(fd, text, (size_t)size, 0) == size;
  close(fd);
  return taken;
}

static int try_write(const char* path, const struct stat* info, int type, struct FTW* where) {
  (void)where;
  if (type == FTW_F && S_ISREG(info->st_mode) && takes_a_write(path) && g_writable++ == 0) {
    snprintf(g_first, sizeof g_first, "%s", path);
  }
  return g_writable > 0;
}

// Looks for any file below a directory that takes a write; it gets what it held.
static void writable_below(int argc, char** argv) {
  const char* top = need(argc, argv, 0, "directory");
  if (nftw(top, try_write, 16, FTW_PHYS) < 0) contained("%s: %s", top, errno_name(errno));
  if (g_writable > 0) escaped("%s is writable", g_first);
  contained("nothing writable below %s", top);
}

static void cgroup_write(int argc, char** argv) {
  (void)argc, (void)argv;
  if (nftw("/sys/fs/cgroup", try_write, 16, FTW_PHYS) < 0) {
    contained("/sys/fs/cgroup: %s", errno_name(errno));
  }
  if (g_writable > 0) escaped("%s is writable", g_first);
  contained("no control group file is writable");
}

// The path of our control group as the kernel shows it must not name the host's hierarchy.
static void cgroup_path(int argc, char** argv) {
  (void)argc, (void)argv;
  FILE* file = fopen("/proc/self/cgroup", "re");
  if (file == NULL) contained("/proc/self/cgroup: %s", errno_name(errno));
  char line[PATH_MAX];
  while (fgets(line, sizeof line, file) != NULL) {
    const char* path = strrchr(line, ':');
    if (path != NULL && strcmp(path, ":/\n") != 0) escaped("/proc/self/cgroup tells %s", line);
  }
  contained("every hierarchy shows /");
}

const struct probe kProbes[] = {
    {"mount", mount_any},
    {"remount", remount_writable},
    {"unmount", unmount},
    {"pivot-root", pivot},
    {"mount-api", new_mount_api},
    {"list-mounts", list_mounts},
    {"unshare", unshare_one},
    {"clone-new", clone_new},
    {"join", join},
    {"proc-masked", proc_masked},
    {"any-readable", any_readable},
    {"writable-below", writable_below},
    {"cgroup-write", cgroup_write},
    {"cgroup-path", cgroup_path},
    {NULL, NULL},
};
