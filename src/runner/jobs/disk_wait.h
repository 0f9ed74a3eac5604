// DiskWait: waiting for a disk of this host that takes nothing, because it is full or read-only.
//
// What a job has done so far is worth more than the place it holds meanwhile: hours of inference
// are not done again because somebody else filled the disk for a minute. Bounded, since nobody may
// come and free any. Borrows all; one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runner/jobs/job_control.h"

namespace airlock::runner {

inline constexpr std::chrono::minutes kDiskWaitMax{15};  // all pauses of one DiskWait together
inline constexpr std::chrono::milliseconds kDiskLookLeast{250};
inline constexpr std::chrono::milliseconds kDiskLookMost{10'000};
// What is left to all others; with less below the directory of jobs none is begun.
inline constexpr std::uint64_t kDiskBytesLeast = 8u << 20;

// For that and `bytes` more. A guess, of course: others write, too.
bool has_room(const std::filesystem::path& directory, std::uint64_t bytes = 0);
// What a file takes of its disk: less than its size if it has holes.
std::uint64_t bytes_on_disk(int fd);

// As of JobParts.
struct DiskWaitParts {
  std::function<void(std::chrono::milliseconds)> sleep;
  std::function<void(std::string_view event, std::string_view job, std::string_view detail)> log;
};

class DiskWait {
 public:
  DiskWait(DiskWaitParts parts, const JobControl& control, std::string job);

  // After what failed: false if that was not the fault of the disk, the time is over, or the
  // job is to stop. True after a pause: the same may work now.
  bool try_again_after(const base::Error& error);
  // Until `directory` has room.
  void until_room(const std::filesystem::path& directory);

 private:
  bool pause(const std::string& why);

  const DiskWaitParts parts_;
  const JobControl& control_;
  const std::string job_;
  std::chrono::milliseconds left_ = kDiskWaitMax;
  std::chrono::milliseconds next_ = kDiskLookLeast;
  bool told_ = false;
};

}  // namespace airlock::runner
