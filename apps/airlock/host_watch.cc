#include "apps/airlock/host_watch.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "host/proc_files.h"

namespace airlock::apps {
namespace {

namespace fs = std::filesystem;

std::string read_proc(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<std::uint64_t> number_at(const std::vector<std::string_view>& fields,
                                       std::size_t index) {
  return index < fields.size() ? host::parse_number(fields[index]) : std::nullopt;
}

// The folder where the file system begins that `folder` lies on.
std::optional<fs::path> mount_of(const fs::path& folder) {
  struct stat here{};
  std::error_code error;
  fs::path at = fs::weakly_canonical(folder, error);
  if (error || ::stat(at.c_str(), &here) != 0) return std::nullopt;
  while (at.has_relative_path()) {
    struct stat above{};
    const fs::path parent = at.parent_path();
    if (::stat(parent.c_str(), &above) != 0 || above.st_dev != here.st_dev) break;
    at = parent;
  }
  return at;
}

double ticks_per_second() { return static_cast<double>(::sysconf(_SC_CLK_TCK)); }

void read_memory(telemetry::HostReading& reading) {
  const std::string text = read_proc("/proc/meminfo");
  const auto total = host::parse_meminfo(text, "MemTotal");
  const auto available = host::parse_meminfo(text, "MemAvailable");
  reading.memory_total_bytes = total;
  if (total && available) reading.memory_used_bytes = *total - std::min(*total, *available);
}

// "btime 1764427000": when the machine started.
std::optional<std::uint64_t> parse_boot_time(std::string_view proc_stat) {
  for (const std::string_view line : host::lines_of(proc_stat)) {
    const auto fields = host::fields_of(line);
    if (fields.size() == 2 && fields[0] == "btime") return host::parse_number(fields[1]);
  }
  return std::nullopt;
}

void read_process(telemetry::HostReading& reading) {
  const auto resident = number_at(host::fields_of(read_proc("/proc/self/statm")), 1);
  if (resident) {
    reading.resident_bytes = *resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  const auto times = parse_process_times(read_proc("/proc/self/stat"));
  if (!times) return;
  reading.cpu_seconds = static_cast<double>(times->cpu_ticks) / ticks_per_second();
  if (const auto booted = parse_boot_time(read_proc("/proc/stat"))) {
    reading.start_time_seconds =
        static_cast<double>(*booted) + static_cast<double>(times->start_ticks) / ticks_per_second();
  }
}

}  // namespace

// "cpu user nice system idle iowait irq softirq steal guest guest_nice"; guests are in user.
std::optional<CpuTimes> parse_cpu_times(std::string_view proc_stat) {
  constexpr std::size_t kFieldsMax = 9;
  constexpr std::size_t kIdle = 4;
  constexpr std::size_t kWaits = 5;
  const std::vector<std::string_view> lines = host::lines_of(proc_stat);
  if (lines.empty()) return std::nullopt;
  const auto fields = host::fields_of(lines.front());
  if (fields.size() <= kWaits || fields[0] != "cpu") return std::nullopt;
  CpuTimes times;
  for (std::size_t i = 1; i < std::min(fields.size(), kFieldsMax); ++i) {
    const auto value = host::parse_number(fields[i]);
    if (!value) return std::nullopt;
    times.all += *value;
    if (i != kIdle && i != kWaits) times.busy += *value;
  }
  return times;
}

// The second field is the program's name in parentheses and may contain anything.
std::optional<ProcessTimes> parse_process_times(std::string_view stat) {
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  const auto fields = host::fields_of(stat.substr(name_end + 1));  // the first one is the third
  const auto user = number_at(fields, 11);
  const auto system = number_at(fields, 12);
  const auto start = number_at(fields, 19);
  if (!user || !system || !start) return std::nullopt;
  return ProcessTimes{.cpu_ticks = *user + *system, .start_ticks = *start};
}

HostWatch::HostWatch(const std::vector<fs::path>& folders, const base::Clock& clock)
    : clock_(clock), earlier_(parse_cpu_times(read_proc("/proc/stat"))) {
  earlier_at_ = clock_.steady_now();
  for (const fs::path& folder : folders) {
    const auto mount = mount_of(folder);
    if (mount && std::ranges::find(mounts_, *mount) == mounts_.end()) mounts_.push_back(*mount);
  }
}

std::optional<double> HostWatch::cpu_usage() {
  const auto now = clock_.steady_now();
  const std::lock_guard lock(mutex_);
  if (usage_ && now - earlier_at_ < kCpuSpan) return usage_;
  const auto times = parse_cpu_times(read_proc("/proc/stat"));
  if (!times || !earlier_ || times->all <= earlier_->all) return usage_;
  // The kernel's own counters may step back a little.
  const std::uint64_t busy = times->busy - std::min(times->busy, earlier_->busy);
  usage_ = std::min(
      100.0, 100.0 * static_cast<double>(busy) / static_cast<double>(times->all - earlier_->all));
  earlier_ = times;
  earlier_at_ = now;
  return usage_;
}

telemetry::HostReading HostWatch::read() {
  telemetry::HostReading reading;
  reading.cpu_usage_percent = cpu_usage();
  read_memory(reading);
  read_process(reading);
  for (const fs::path& mount : mounts_) {
    struct statvfs status{};
    if (::statvfs(mount.c_str(), &status) != 0) continue;
    const std::uint64_t block = status.f_frsize;
    reading.disks.push_back({.mount = mount.string(),
                             .used_bytes = (status.f_blocks - status.f_bfree) * block,
                             .total_bytes = status.f_blocks * block});
  }
  return reading;
}

}  // namespace airlock::apps
