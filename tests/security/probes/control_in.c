// Runs a control in throwaway namespaces, so that an attack that succeeds harms nobody.
//
//
// Mounts are made private first; `user` maps the caller to root inside; `uid=N` drops to that user
// and group last. Everything is gone when the program ends.
#include "probe.h"

#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

static const struct {
  const char* name;
  int flag;
} kKinds[] = {
    {"mnt", CLONE_NEWNS},        {"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET},
    {"ipc", CLONE_NEWIPC},       {"uts", CLONE_NEWUTS}, {"user", CLONE_NEWUSER},
    {"cgroup", CLONE_NEWCGROUP},
};

static void die(const char* what) {
  dprintf(2, "control_in: %s: %s\n", what, strerror(errno));
  _exit(125);
}

static void write_file(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) die(path);
  close(fd);
}

static void map_to_root(uid_t uid, gid_t gid) {
  char line[64];
  write_file("/proc/self/setgroups", "deny");
  snprintf(line, sizeof line, "0 %u 1", uid);
  write_file("/proc/self/uid_map", line);
  snprintf(line, sizeof line, "0 %u 1", gid);
  write_file("/proc/self/gid_map", line);
}

static int parse(char* text, long* uid) {
  int flags = 0;
  for (char* word = strtok(text, ","); word != NULL; word = strtok(NULL, ",")) {
    if (strncmp(word, "uid=", 4) == 0) {
      *uid = strtol(word + 4, NULL, 10);
      continue;
    }
    for (size_t i = 0; i < sizeof kKinds / sizeof *kKinds; ++i) {
      if (strcmp(word, kKinds[i].name) == 0) flags |= kKinds[i].flag;
    }
  }
  return flags;
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  long uid = -1;
  int flags = parse(argv[1], &uid);
  uid_t outer_uid = getuid();
  gid_t outer_gid = getgid();
  if (unshare(flags) != 0) die("unshare");
  if (flags & CLONE_NEWUSER) map_to_root(outer_uid, outer_gid);
  if (flags & CLONE_NEWNS && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) die("mount");
  if (flags & CLONE_NEWPID) {
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child > 0) {
      int status = 0;
      waitpid(child, &status, 0);
      _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (flags & CLONE_NEWNS && mount("proc", "/proc", "proc", 0, NULL) != 0) die("mount proc");
    // Pid 1 of the namespace stays behind as a parent, so that the probe is an ordinary process.
    child = fork();
    if (child > 0) {
      int status = 0;
      waitpid(child, &status, 0);
      _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
  }
  if (uid >= 0 && (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))) {
    die("drop to user");
  }
  execv(argv[2], argv + 2);
  die(argv[2]);
}
