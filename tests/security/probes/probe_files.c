// Attacks on the host's files: reading what is not ours, writing where nothing may be written,
// leaving the root, becoming somebody else through a file.
#include "probe.h"

#include <dirent.h>
#include <linux/fs.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/xattr.h>

static void shadow(int argc, char** argv) {
  (void)argc, (void)argv;
  if (can_open("/etc/shadow", O_RDONLY)) escaped("read /etc/shadow");
  contained("open /etc/shadow: %s", errno_name(errno));
}

// Lists a directory of the host; an empty stand-in is not the host's.
static void list(int argc, char** argv) {
  const char* path = need(argc, argv, 0, "directory");
  DIR* dir = opendir(path);
  if (dir == NULL) contained("opendir: %s", errno_name(errno));
  int entries = 0;
  for (struct dirent* e; (e = readdir(dir)) != NULL;) {
    entries += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
  }
  if (entries == 0) contained("empty");
  escaped("listed %d entries of %s", entries, path);
}

// Reads any of the files named; they exist outside only.
static void read_any(int argc, char** argv) {
  need(argc, argv, 0, "path");
  for (int i = 0; i < argc; ++i) {
    if (can_open(argv[i], O_RDONLY)) escaped("read %s", argv[i]);
  }
  contained("%d paths, last: %s", argc, errno_name(errno));
}

static void through_proc_root(int argc, char** argv) {
  long pid = need_number(argc, argv, 0, "pid");
  const char* path = need(argc, argv, 1, "path");
  char full[4096];
  snprintf(full, sizeof full, "/proc/%ld/root%s", pid, path);
  if (can_open(full, O_RDONLY)) escaped("read %s", full);
  snprintf(full, sizeof full, "/proc/%ld/cwd/../../../../../../../..%s", pid, path);
  if (can_open(full, O_RDONLY)) escaped("read %s", full);
  contained("/proc/%ld/root: %s", pid, errno_name(errno));
}

static void dotdot(int argc, char** argv) {
  const char* path = need(argc, argv, 0, "path");
  char full[4096] = "";
  for (int i = 0; i < 64; ++i) strcat(full, "../");
  strncat(full, path + 1, sizeof full - strlen(full) - 1);
  if (can_open(full, O_RDONLY)) escaped("read the file of the host through ..");
  contained("openat ../../..: %s", errno_name(errno));
}

static bool file_contains(const char* path, const char* text) {
  FILE* file = fopen(path, "re");
  if (file == NULL) return false;
  char line[4096];
  bool found = false;
  while (!found && fgets(line, sizeof line, file) != NULL) found = strstr(line, text) != NULL;
  fclose(file);
  return found;
}

// contains FILE TEXT...: a file that exists inside too must not tell what the host's tells.
static void contains(int argc, char** argv) {
  const char* path = need(argc, argv, 0, "file");
  need(argc, argv, 1, "text");
  for (int i = 1; i < argc; ++i) {
    if (file_contains(path, argv[i])) escaped("%s tells %s", path, argv[i]);
  }
  contained("%s does not tell it", path);
}

static void create_in(int argc, char** argv) {
  char path[4096];
  snprintf(path, sizeof path, "%s/airlock-probe-%d", need(argc, argv, 0, "directory"), getpid());
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) unlink(path);
  verdict(fd, "create a file");
}

static void open_write(int argc, char** argv) {
  need(argc, argv, 0, "path");
  for (int i = 0; i < argc; ++i) {
    if (can_open(argv[i], O_WRONLY | O_APPEND)) escaped("opened %s for writing", argv[i]);
  }
  contained("open for writing: %s", errno_name(errno));
}

static void open_by_handle(int argc, char** argv) {
  (void)argc, (void)argv;
  struct {
    struct file_handle head;
    unsigned char bytes[128];
  } handle = {.head = {.handle_bytes = 128}};
  int mount_id = 0;
  if (name_to_handle_at(AT_FDCWD, "/usr", &handle.head, &mount_id, 0) != 0) {
    // Without a handle of its own an attacker makes one up: inode 2 is the root of ext4.
    handle.head.handle_bytes = 8;
    handle.head.handle_type = 1;
    memset(handle.bytes, 0, sizeof handle.bytes);
    handle.bytes[0] = 2;
  }
  int directory = open("/usr", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  verdict(open_by_handle_at(directory, &handle.head, O_RDONLY), "open_by_handle_at");
}

static void chroot_escape(int argc, char** argv) {
  const char* secret = need(argc, argv, 0, "path");
  mkdir("chroot-probe", 0700);
  int outside = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (chroot("chroot-probe") != 0) {
    int saved = errno;
    rmdir("chroot-probe");
    contained("chroot: %s", errno_name(saved));
  }
  if (fchdir(outside) != 0) contained("fchdir: %s", errno_name(errno));
  for (int i = 0; i < 64; ++i) {
    if (chdir("..") != 0) break;
  }
  if (chroot(".") != 0) contained("second chroot: %s", errno_name(errno));
  if (can_open(secret, O_RDONLY)) escaped("left the root and read %s", secret);
  contained("left the inner root only: %s", errno_name(errno));
}

static void make_node(int argc, char** argv) {
  const char* kind = need(argc, argv, 0, "block or char");
  bool block = strcmp(kind, "block") == 0;
  dev_t device = block ? makedev(7, 0) : makedev(1, 11);
  int result = mknod("node-probe", (block ? S_IFBLK : S_IFCHR) | 0600, device);
  if (result == 0) unlink("node-probe");
  verdict(result, "mknod");
}

static void setuid_exec(int argc, char** argv) {
  const char* candidates[] = {argc > 0 ? argv[0] : "/usr/bin/su", "/usr/bin/su", "/usr/bin/mount",
                              "/usr/bin/passwd", "/usr/bin/newgrp"};
  int tried = 0;
  for (size_t i = 0; i < sizeof candidates / sizeof *candidates; ++i) {
    struct stat info;
    if (stat(candidates[i], &info) != 0 || !(info.st_mode & S_ISUID)) continue;
    ++tried;
    int hold[2];
    if (pipe(hold) != 0) inconclusive("pipe");
    pid_t child = fork();
    if (child == 0) {
      dup2(hold[0], 0);
      int null = open("/dev/null", O_WRONLY);
      dup2(null, 1);
      dup2(null, 2);
      execl(candidates[i], candidates[i], "effective-uid", (char*)NULL);
      _exit(127);
    }
    usleep(100 * 1000);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", child);
    bool root = file_contains(path, "Uid:\t1000\t0\t") || file_contains(path, "Uid:\t0\t0\t");
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (root || (WIFEXITED(status) && WEXITSTATUS(status) == 42)) {
      escaped("%s ran with effective uid 0", candidates[i]);
    }
  }
  contained("%d setuid files run, none gained a user", tried);
}

// The target of setuid_exec: says through its code who it became.
static void effective_uid(int argc, char** argv) {
  (void)argc, (void)argv;
  if (geteuid() == 0 && getuid() != 0) escaped("effective uid 0");
  contained("effective uid %u", geteuid());
}

static void nosuid(int argc, char** argv) {
  (void)argc, (void)argv;
  const char* places[] = {"/", "/usr", "/etc", "/tmp", "/dev/shm", "."};
  for (size_t i = 0; i < sizeof places / sizeof *places; ++i) {
    struct statvfs info;
    if (statvfs(places[i], &info) != 0) continue;
    if (!(info.f_flag & ST_NOSUID)) escaped("%s is mounted without nosuid", places[i]);
  }
  contained("every mount is nosuid");
}

static void file_capability(int argc, char** argv) {
  (void)argc, (void)argv;
  // A version 2 capability record that would give cap_sys_admin on exec.
  const uint32_t record[] = {0x02000001, 1u << 21, 0, 0, 0};
  int fd = open("capability-probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
  if (fd < 0) inconclusive("create: %s", errno_name(errno));
  int result = fsetxattr(fd, "security.capability", record, sizeof record, 0);
  int saved = errno;
  unlink("capability-probe");
  errno = saved;
  verdict(result, "set security.capability");
}

static void own_as_root(int argc, char** argv) {
  (void)argc, (void)argv;
  int fd = open("owner-probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
  if (fd < 0) inconclusive("create: %s", errno_name(errno));
  int result = fchown(fd, 0, 0);
  int saved = errno;
  unlink("owner-probe");
  errno = saved;
  verdict(result, "chown to root");
}

// An immutable file could not be removed when the run is over.
static void immutable(int argc, char** argv) {
  (void)argc, (void)argv;
  int fd = open("immutable-probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
  if (fd < 0) inconclusive("create: %s", errno_name(errno));
  int flags = FS_IMMUTABLE_FL;
  int result = ioctl(fd, FS_IOC_SETFLAGS, &flags);
  int saved = errno;
  flags = 0;
  ioctl(fd, FS_IOC_SETFLAGS, &flags);
  unlink("immutable-probe");
  errno = saved;
  verdict(result, "chattr +i");
}

static void fanotify(int argc, char** argv) {
  (void)argc, (void)argv;
  int fd = fanotify_init(FAN_CLASS_CONTENT, O_RDONLY);
  verdict(fd, "fanotify_init for content");
}

// /dev must hold nothing but what a program needs.
static void devices(int argc, char** argv) {
  (void)argc, (void)argv;
  const char* allowed[] = {"null", "zero", "full",  "random", "urandom", "tty",    "ptmx",   "pts",
                           "shm",  "fd",   "stdin", "stdout", "stderr",  "mqueue", "console"};
  DIR* dir = opendir("/dev");
  if (dir == NULL) contained("opendir /dev: %s", errno_name(errno));
  for (struct dirent* e; (e = readdir(dir)) != NULL;) {
    bool known = e->d_name[0] == '.';
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; ++i) {
      known = known || strcmp(e->d_name, allowed[i]) == 0;
    }
    if (!known) escaped("/dev/%s exists", e->d_name);
  }
  contained("only the usual devices");
}

static void hardware(int argc, char** argv) {
  (void)argc, (void)argv;
  const char* paths[] = {"/dev/mem",          "/dev/kmem",     "/dev/port",    "/dev/kmsg",
                         "/dev/vda",          "/dev/sda",      "/dev/nvme0n1", "/dev/loop0",
                         "/dev/loop-control", "/dev/fuse",     "/dev/kvm",     "/dev/net/tun",
                         "/dev/userfaultfd",  "/dev/vsock",    "/dev/tty0",    "/dev/console",
                         "/dev/snapshot",     "/dev/cpu/0/msr"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; ++i) {
    int fd = open(paths[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0) escaped("opened %s", paths[i]);
  }
  contained("%zu devices, last: %s", sizeof paths / sizeof *paths, errno_name(errno));
}

const struct probe kProbes[] = {
    {"shadow", shadow},
    {"list", list},
    {"read-any", read_any},
    {"through-proc-root", through_proc_root},
    {"dotdot", dotdot},
    {"contains", contains},
    {"create-in", create_in},
    {"open-write", open_write},
    {"open-by-handle", open_by_handle},
    {"chroot-escape", chroot_escape},
    {"make-node", make_node},
    {"setuid-exec", setuid_exec},
    {"effective-uid", effective_uid},
    {"nosuid", nosuid},
    {"file-capability", file_capability},
    {"own-as-root", own_as_root},
    {"immutable", immutable},
    {"fanotify", fanotify},
    {"devices", devices},
    {"hardware", hardware},
    {NULL, NULL},
};
