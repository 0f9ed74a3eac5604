// Attacks through file descriptors that leak in, and through the streams that are passed on
// purpose.
#include "probe.h"

#include <dirent.h>
#include <sys/stat.h>

static void leaked(int argc, char** argv) {
  (void)argc, (void)argv;
  for (int fd = 3; fd < 65536; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) continue;
    char path[64], target[256] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, target, sizeof target - 1);
    escaped("fd %d is open: %.*s", fd, n > 0 ? (int)n : 0, target);
  }
  contained("0, 1 and 2 only");
}

static void directory_stream(int argc, char** argv) {
  (void)argc, (void)argv;
  for (int fd = 0; fd < 3; ++fd) {
    struct stat info;
    if (fstat(fd, &info) == 0 &&
        (S_ISDIR(info.st_mode) || S_ISREG(info.st_mode) || S_ISBLK(info.st_mode))) {
      escaped("fd %d is a file of the host", fd);
    }
  }
  contained("the streams are no files");
}

// Opens its own stdin again for writing: a file of the host must not be reachable through it.
static void reopen(int argc, char** argv) {
  long fd = need_number(argc, argv, 0, "fd");
  const char* mode = need(argc, argv, 1, "read or write");
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%ld", fd);
  struct stat info;
  if (fstat((int)fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    // The verdict goes to stderr where stdout is the thing attacked.
    if (fd == 1) dup2(2, 1);
    contained("fd %ld is no file", fd);
  }
  int again = open(path, strcmp(mode, "write") == 0 ? O_WRONLY | O_CLOEXEC : O_RDONLY | O_CLOEXEC);
  int saved = errno;
  if (again >= 0 && strcmp(mode, "write") == 0 && write(again, "overwritten", 11) == 11) {
    escaped("wrote to the host's file through fd %ld", fd);
  }
  char byte;
  bool read_it = again >= 0 && read(again, &byte, 1) == 1;
  if (fd == 1) dup2(2, 1);
  if (read_it) escaped("read the host's file through fd %ld", fd);
  contained("open %s: %s", path, errno_name(saved));
}

// Overwrites the file we were started from, while a copy of us in memory runs: if the sandbox
// showed the host's file itself, the host's file would now be changed. The runner compares it
// afterwards.
static void overwrite_self(int argc, char** argv) {
  char path[4096];
  if (argc == 0) {
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n < 0) contained("readlink: %s", errno_name(errno));
    path[n] = '\0';
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open("copy-of-probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    char bytes[65536];
    for (ssize_t got; (got = read(from, bytes, sizeof bytes)) > 0;) {
      if (write(to, bytes, (size_t)got) != got) inconclusive("copy: %s", errno_name(errno));
    }
    close(to);
    close(from);
    execl("./copy-of-probe", "copy-of-probe", "overwrite-self", path, (char*)NULL);
    inconclusive("exec of the copy: %s", errno_name(errno));
  }
  unlink("copy-of-probe");
  chmod(argv[0], 0777);
  int fd = open(argv[0], O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0 || write(fd, "!", 1) != 1) contained("write to the program: %s", errno_name(errno));
  // The runner turns this into an escape if the file on the host has changed.
  escaped("wrote to %s", argv[0]);
}

const struct probe kProbes[] = {
    {"leaked", leaked}, {"file-stream", directory_stream},
    {"reopen", reopen}, {"overwrite-self", overwrite_self},
    {NULL, NULL},
};
