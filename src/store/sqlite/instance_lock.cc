#include "store/sqlite/instance_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

namespace airlock::store::sqlite {
namespace {

// "process 123", or less where the file does not tell.
std::string holder_of(int file) {
  std::array<char, 32> text{};
  const ssize_t length = ::pread(file, text.data(), text.size(), 0);
  long pid = 0;
  if (length <= 0 || std::from_chars(text.data(), text.data() + length, pid).ec != std::errc() ||
      pid <= 0) {
    return "another process";
  }
  return "process " + std::to_string(pid);
}

}  // namespace

base::Result<InstanceLock> InstanceLock::acquire(const std::string& folder) {
  const std::string path = folder + "/jobs.lock";
  base::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) {
    base::Error error = base::errno_error("open " + path);
    error.hint = "The user of Airlock must be able to write in the state directory.";
    if (error.os_errno == EACCES || error.os_errno == EPERM || error.os_errno == EROFS) {
      error.code = base::ErrorCode::kPermissionDenied;
    }
    return base::fail(std::move(error));
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return base::fail_errno("lock " + path);
    return base::fail(base::ErrorCode::kBusy,
                      "the state directory " + folder + " is in use by " + holder_of(file.get()),
                      "End that process first, or give this one a state directory of its own.");
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  // Only for people: the lock holds without it, on a disk that is full, too.
  if (::ftruncate(file.get(), 0) == 0) {
    static_cast<void>(::pwrite(file.get(), pid.data(), pid.size(), 0) > 0);
  }
  return InstanceLock(std::move(file));
}

}  // namespace airlock::store::sqlite
