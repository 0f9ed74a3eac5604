// HostWatch: how busy and how full this machine is, and what this process takes of it, as the
// kernel tells everybody.
//
// The part of the processors that is used is that of the time since an earlier reading, which is at
// least kCpuSpan old, so that two who ask do not spoil it for one another. Any thread; a file
// system that hangs makes read() hang.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "telemetry/readings.h"

namespace airlock::apps {

inline constexpr std::chrono::milliseconds kCpuSpan{1'000};

// Of all processors together since the machine started, in the kernel's units.
struct CpuTimes {
  std::uint64_t busy = 0;
  std::uint64_t all = 0;
};
std::optional<CpuTimes> parse_cpu_times(std::string_view proc_stat);

// Of /proc/self/stat, in the kernel's units.
struct ProcessTimes {
  std::uint64_t cpu_ticks = 0;
  std::uint64_t start_ticks = 0;  // after the machine's start
};
std::optional<ProcessTimes> parse_process_times(std::string_view stat);

class HostWatch {
 public:
  // `folders`: the file systems that they lie on are looked at, each once.
  HostWatch(const std::vector<std::filesystem::path>& folders, const base::Clock& clock);

  telemetry::HostReading read();

 private:
  std::optional<double> cpu_usage();

  const base::Clock& clock_;
  std::vector<std::filesystem::path> mounts_;
  std::mutex mutex_;
  std::optional<CpuTimes> earlier_;
  std::chrono::steady_clock::time_point earlier_at_{};
  std::optional<double> usage_;
};

}  // namespace airlock::apps
