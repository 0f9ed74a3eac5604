#include "host/namespace_trial.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace airlock::host {

namespace {

// Any folder that every host has will do: what is mounted there exists in the child's view only.
constexpr const char* kMountPoint = "/proc";

bool write_text(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t size = write(fd, text, std::strlen(text));
  const int write_errno = errno;
  close(fd);
  errno = write_errno;
  return size == static_cast<ssize_t>(std::strlen(text));
}

// A user namespace in which our own ids are 0. Needs no privilege: one id, one's own.
bool enter_user_namespace(TrialRecord* record) {
  char uid_map[32];
  char gid_map[32];
  std::snprintf(uid_map, sizeof uid_map, "0 %u 1", geteuid());
  std::snprintf(gid_map, sizeof gid_map, "0 %u 1", getegid());
  return note(record, unshare(CLONE_NEWUSER) == 0, "user namespace") &&
         note(record, write_text("/proc/self/setgroups", "deny"), "user namespace: setgroups") &&
         note(record, write_text("/proc/self/uid_map", uid_map), "user namespace: uid_map") &&
         note(record, write_text("/proc/self/gid_map", gid_map), "user namespace: gid_map");
}

bool enter_mount_namespace(TrialRecord* record) {
  return note(record, unshare(CLONE_NEWNS) == 0, "mount namespace") &&
         note(record, mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0,
              "private mounts");
}

// As pid 1 of the new pid namespace. /proc first: the kernel allows a new one only while an old one
// that hides nothing is in sight.
void try_mounts(TrialRecord* record) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!note(record, mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0,
            "mount proc") ||
      !note(record,
            mount("tmpfs", kMountPoint, "tmpfs", MS_NOSUID | MS_NODEV,
                  "size=64k,nr_inodes=16,mode=755") == 0,
            "mount tmpfs") ||
      !note(record, chdir(kMountPoint) == 0, "enter the new root")) {
    return;
  }
  // Why safe: two paths of static lifetime; the new root stacks on the old one, which is detached.
  if (!note(record, syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root")) return;
  note(record, umount2(".", MNT_DETACH) == 0, "detach the old root");
}

// The mounts are tried by a grandchild, since only a child enters a new pid namespace.
void try_mounts_as_init(TrialRecord* record) {
  int ends[2] = {-1, -1};
  if (!note(record, pipe2(ends, O_CLOEXEC) == 0, "pipe")) return;
  const pid_t init = fork();
  if (!note(record, init >= 0, "pid namespace: first process")) return;
  if (init == 0) {
    try_mounts(record);
    _exit(write(ends[1], record, sizeof *record) == static_cast<ssize_t>(sizeof *record) ? 0 : 1);
  }
  close(ends[1]);
  const ssize_t size = read(ends[0], record, sizeof *record);
  errno = ECHILD;
  note(record, size == static_cast<ssize_t>(sizeof *record), "pid namespace: init died");
  waitpid(init, nullptr, 0);
}

}  // namespace

void try_namespaces(TrialRecord* record) {
  const struct {
    int flag;
    const char* step;
  } kinds[] = {{CLONE_NEWPID, "pid namespace"},
               {CLONE_NEWNET, "net namespace"},
               {CLONE_NEWIPC, "ipc namespace"},
               {CLONE_NEWUTS, "uts namespace"},
               {CLONE_NEWCGROUP, "cgroup namespace"}};
  if (!enter_user_namespace(record) || !enter_mount_namespace(record)) return;
  for (const auto& kind : kinds) {
    if (!note(record, unshare(kind.flag) == 0, kind.step)) return;
  }
  try_mounts_as_init(record);
}

void try_overlay(TrialRecord* record) {
  if (!enter_user_namespace(record) || !enter_mount_namespace(record)) return;
  if (!note(record, mount("tmpfs", kMountPoint, "tmpfs", 0, "size=1m,mode=755") == 0,
            "mount tmpfs") ||
      !note(record, chdir(kMountPoint) == 0, "enter the tmpfs")) {
    return;
  }
  for (const char* folder : {"lower", "upper", "work", "merged"}) {
    if (!note(record, mkdir(folder, 0755) == 0, "mkdir")) return;
  }
  note(record,
       mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") == 0,
       "mount overlay");
}

}  // namespace airlock::host
