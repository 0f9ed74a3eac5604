#include "apps/airlock/prestart.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "jail/id_map.h"
#include "jail/start_init.h"
#include "sys/raw_clone.h"

namespace airlock::apps {
namespace {

using jail::BegunSandbox;
using sys::raw_call;
using sys::raw_word;

constexpr std::size_t kPathMax = 4'096;
constexpr char kInitName[] = "airlock-init";

bool begins_with(const char* text, const char* prefix) {
  while (*prefix != '\0' && *text == *prefix) {
    ++text;
    ++prefix;
  }
  return *prefix == '\0';
}

bool wants_sandbox(const long* stack) {
  const long count = stack[0];
  if (count < 3) return false;
  const auto* const words = reinterpret_cast<const char* const*>(stack + 1);
  if (!begins_with(words[1], "run") || words[1][3] != '\0') return false;
  for (const char* const* variable = words + count + 1; *variable != nullptr; ++variable) {
    if (begins_with(*variable, "AIRLOCK_JAIL=")) return false;
  }
  for (int fd = 0; fd < 3; ++fd) {
    if (raw_call(SYS_fcntl, fd, F_GETFD) < 0) return false;
  }
  return true;
}

bool has_only_unified_cgroups() {
  struct statfs status;  // the kernel fills it in
  // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult)
  return raw_call(SYS_statfs, raw_word("/sys/fs/cgroup"), raw_word(&status)) == 0 &&
         status.f_type == CGROUP2_SUPER_MAGIC;
}

// airlock-init beside our own program, if only its owner and we could have changed it. The kernel
// lets nobody write to it while it runs.
int open_init(long own_uid) {
  char path[kPathMax];
  const long size = raw_call(SYS_readlink, raw_word("/proc/self/exe"), raw_word(&path[0]),
                             kPathMax - sizeof kInitName);
  long end = size;
  while (end > 0 && path[end - 1] != '/') --end;
  if (end <= 0) return -1;
  for (std::size_t i = 0; i < sizeof kInitName; ++i) {
    reinterpret_cast<volatile char*>(path)[static_cast<std::size_t>(end) + i] = kInitName[i];
  }
  const long fd = raw_call(SYS_openat, AT_FDCWD, raw_word(&path[0]), O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (fd < 0) return -1;
  const bool usable = raw_call(SYS_fstat, fd, raw_word(&status)) == 0 &&
                      (status.st_uid == 0 || status.st_uid == own_uid) &&
                      (status.st_mode & (S_IWOTH | S_IWGRP)) == 0;
  if (usable) return static_cast<int>(fd);
  raw_call(SYS_close, fd);
  return -1;
}

constexpr char kRoots[] = "/run/airlock/roots";  // HostView's roots, for root

// As SlotPool::take() for root, where every slot has ids of its own.
bool take_slot(BegunSandbox* begun) {
  if (raw_call(SYS_access, raw_word(kRoots), F_OK) != 0) return false;
  const long fd = raw_call(SYS_openat, AT_FDCWD, raw_word("/run/airlock/slots"),
                           O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  for (std::uint32_t number = 0; number < jail::kSlotsMax; ++number) {
    struct flock lock = {F_WRLCK, SEEK_SET, number, 1, 0};
    if (raw_call(SYS_fcntl, fd, F_OFD_SETLK, raw_word(&lock)) != 0) continue;
    begun->slot = number;
    begun->slot_fd = static_cast<int>(fd);
    return true;
  }
  raw_call(SYS_close, fd);
  return false;
}

}  // namespace

BegunSandbox prestart(const long* stack) {
  BegunSandbox begun;
  if (!wants_sandbox(stack) || has_only_unified_cgroups()) return begun;
  const long own_uid = raw_call(SYS_geteuid);
  if (own_uid == 0 && !take_slot(&begun)) return begun;
  begun.program_fd = open_init(own_uid);
  int pair[2];
  const bool connected =
      begun.program_fd >= 0 &&
      raw_call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, raw_word(&pair[0])) == 0;
  if (!connected) return begun;
  begun.channel_fd = pair[0];  // NOLINT(clang-analyzer-core.uninitialized.Assign)
  const uid_t creator =
      own_uid == 0 ? jail::kPoolFirst + begun.slot * jail::kPoolIdsPerSlot + jail::kCreatorId
                   : uid_t{0};
  const sys::RawChild child = jail::start_init({.program_fd = begun.program_fd,
                                                .channel_fd = pair[1],
                                                .directory = own_uid == 0 ? kRoots : nullptr,
                                                .cgroup_fd = -1,
                                                .creator = creator});
  raw_call(SYS_close, pair[1]);
  begun.pid = static_cast<int>(child.pid);
  begun.pidfd = child.pidfd;
  return begun;
}

}  // namespace airlock::apps
