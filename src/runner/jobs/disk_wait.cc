#include "runner/jobs/disk_wait.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

#include "runner/jobs/job_stop.h"

namespace airlock::runner {
namespace {

// How soon a job that is told to stop does.
constexpr std::chrono::milliseconds kStopLookEvery{250};

}  // namespace

bool has_room(const std::filesystem::path& directory, std::uint64_t bytes) {
  struct statvfs status{};
  if (::statvfs(directory.c_str(), &status) != 0) return true;  // whoever needs it will say why
  if ((status.f_flag & ST_RDONLY) != 0) return false;
  return std::uint64_t{status.f_bavail} * status.f_frsize >= kDiskBytesLeast + bytes &&
         (status.f_files == 0 || status.f_favail > 0);
}

std::uint64_t bytes_on_disk(int fd) {
  constexpr std::uint64_t kUnit = 512;  // of st_blocks, whatever the file system's are: stat(2)
  struct stat status{};
  return ::fstat(fd, &status) == 0 ? static_cast<std::uint64_t>(status.st_blocks) * kUnit : 0;
}

DiskWait::DiskWait(DiskWaitParts parts, const JobControl& control, std::string job)
    : parts_(std::move(parts)), control_(control), job_(std::move(job)) {}

bool DiskWait::try_again_after(const base::Error& error) {
  return is_of_disk(error) && pause(error.to_string());
}

void DiskWait::until_room(const std::filesystem::path& directory) {
  while (!has_room(directory)) {
    if (!pause("there is no room below " + directory.string())) return;
  }
}

bool DiskWait::pause(const std::string& why) {
  if (!std::exchange(told_, true)) parts_.log("job.waits_for_disk", job_, why);
  if (left_.count() <= 0) return false;
  const auto pause = std::exchange(next_, std::min(next_ * 2, kDiskLookMost));
  left_ -= pause;
  for (auto left = pause; left.count() > 0; left -= kStopLookEvery) {
    if (control_.stop_flag()) return false;
    parts_.sleep(std::min(left, kStopLookEvery));
  }
  return !control_.stop_flag();
}

}  // namespace airlock::runner
