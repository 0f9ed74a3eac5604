#include "jail/slot_pool.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>

#include "sys/files.h"

namespace airlock::jail {
namespace {

// The byte `number` of `file`; where the kernel has no such locks (gVisor) a file for itself.
bool lock_slot(const std::string& path, base::UniqueFd* file, std::uint32_t number) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = number;
  lock.l_len = 1;
  if (fcntl(file->get(), F_OFD_SETLK, &lock) == 0) return true;
  if (errno != EINVAL) return false;
  const std::string own = path + "-" + std::to_string(number);
  base::UniqueFd whole(open(own.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!whole.valid() || flock(whole.get(), LOCK_EX | LOCK_NB) != 0) return false;
  *file = std::move(whole);
  return true;
}

}  // namespace

// Depends on who we are and never on the environment: two launchers that looked in two places would
// give out the same slot twice.
std::string default_run_directory() {
  if (geteuid() == 0) return "/run/airlock";
  const std::string uid = std::to_string(geteuid());
  struct stat status{};
  const std::string own = "/run/user/" + uid;
  const bool usable = stat(own.c_str(), &status) == 0 && status.st_uid == geteuid();
  return usable ? own + "/airlock" : "/tmp/airlock-" + uid;
}

base::Result<SlotPool> SlotPool::open(std::string run_directory, std::uint32_t slots_max) {
  if (mkdir(run_directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return base::fail_errno("mkdir " + run_directory);
  }
  struct stat status{};
  if (lstat(run_directory.c_str(), &status) != 0) return base::fail_errno("stat " + run_directory);
  if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid()) {
    return base::fail(base::ErrorCode::kPermissionDenied,
                      run_directory + " is not a directory of ours",
                      "remove it, or name another with --run-dir");
  }
  // Whoever can reach what is in it can lock it, and hold up every run.
  if ((status.st_mode & 077) != 0 && chmod(run_directory.c_str(), 0700) != 0) {
    return base::fail_errno("chmod " + run_directory);
  }
  SlotPool pool(std::move(run_directory), slots_max);
  AIRLOCK_TRY(sys::open_at(AT_FDCWD, pool.path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  return pool;
}

base::Result<Slot> SlotPool::take() const {
  AIRLOCK_ASSIGN(base::UniqueFd file, sys::open_at(AT_FDCWD, path_.c_str(), O_RDWR | O_NOFOLLOW));
  for (std::uint32_t number = 0; number < slots_max_; ++number) {
    if (lock_slot(path_, &file, number)) return Slot(number, std::move(file));
  }
  return base::fail(base::ErrorCode::kLimitExceeded,
                    "all " + std::to_string(slots_max_) + " sandbox slots are taken",
                    "wait for a run to end");
}

Slot SlotPool::try_take(std::uint32_t number) const {
  auto file = sys::open_at(AT_FDCWD, path_.c_str(), O_RDWR | O_NOFOLLOW);
  if (!file.has_value() || number >= slots_max_ || !lock_slot(path_, &*file, number)) { return {}; }
  return Slot(number, std::move(*file));
}

}  // namespace airlock::jail
