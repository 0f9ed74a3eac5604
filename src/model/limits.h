// Limits: everything that bounds one process tree, and the bounds of those bounds.
//
// A pure value. Every default and maximum that a caller can meet is a named constant here, so that
// "what is the limit and where is it set" has one answer. Reaching a limit is an Outcome, never an
// error.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/units.h"

namespace airlock::model {

struct Limits {
  std::chrono::milliseconds wall_time{10'000};    // from exec to exit
  std::chrono::milliseconds cpu_time{10'000};     // user + system of the whole tree
  base::ByteCount memory = base::mebibytes(512);  // no swap; tmpfs files count as memory
  std::uint32_t pids = 128;                       // processes and threads
  std::uint32_t cpu_rate_percent = 0;             // 100 = one core; 0 = not limited
  base::ByteCount output = base::mebibytes(8);    // stdout and stderr, each
  base::ByteCount disk = base::mebibytes(64);     // /workspace, /tmp, /output and /dev/shm together
  std::uint32_t inodes = 65'536;                  // files and directories in those
  std::uint32_t open_files = 1'024;               // RLIMIT_NOFILE

  bool operator==(const Limits&) const = default;
};

inline constexpr std::chrono::milliseconds kWallTimeMax = std::chrono::hours(72);
inline constexpr std::chrono::milliseconds kTimeMin{1};
inline constexpr base::ByteCount kMemoryMin = base::mebibytes(4);
inline constexpr base::ByteCount kMemoryMax = base::gibibytes(4096);
inline constexpr std::uint32_t kPidsMin = 1;
inline constexpr std::uint32_t kPidsMax = 65'536;
inline constexpr std::uint32_t kCpuRatePercentMax = 100 * 1024;
inline constexpr base::ByteCount kOutputMax = base::gibibytes(1);
inline constexpr base::ByteCount kDiskMin = base::mebibytes(1);
inline constexpr base::ByteCount kDiskMax = base::gibibytes(4096);
// Up to here the writable places are a tmpfs, above it a disk-backed file system with a quota.
inline constexpr base::ByteCount kTmpfsDiskMax = base::mebibytes(64);
inline constexpr std::uint32_t kInodesMin = 64;
inline constexpr std::uint32_t kInodesMax = 64u << 20;
inline constexpr std::uint32_t kOpenFilesMin = 16;
inline constexpr std::uint32_t kOpenFilesMax = 1'048'576;

// Between SIGTERM and SIGKILL when a run is ended from outside (Ctrl-C, cancel).
inline constexpr std::chrono::milliseconds kTermGrace{2'000};

inline constexpr std::uint32_t kArgumentsMax = 4'096;  // argv and env entries, each
inline constexpr base::ByteCount kArgumentBytesMax = base::kibibytes(96);  // argv + env, together
inline constexpr std::uint32_t kInputFilesMax = 10'000;
inline constexpr std::uint32_t kOutputFilesMax = 10'000;
inline constexpr base::ByteCount kOutputFileMax = base::gibibytes(1);
inline constexpr base::ByteCount kOutputFilesTotalMax = base::gibibytes(4);
inline constexpr std::uint32_t kPathBytesMax = 1'024;
inline constexpr std::uint32_t kPathDepthMax = 64;
inline constexpr std::uint32_t kDeniedRecordsMax = 64;

// Checks every field against its range. The error names the field, the value and the range.
base::Status validate(const Limits& limits);

}  // namespace airlock::model
