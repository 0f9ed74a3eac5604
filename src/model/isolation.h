// Isolation: what was really applied to a run, and what the host could not give.
//
// A pure value, part of every result: nothing is weakened in silence. `missing` holds the names of
// kMissing* below, each explained in docs/architecture.md with the fix.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace airlock::model {

enum class IsolationLevel { kProcess, kContainer, kKernel };
std::string_view isolation_level_name(IsolationLevel level);
std::optional<IsolationLevel> find_isolation_level(std::string_view name);

enum class CgroupVersion { kNone, kV1, kV2, kHybrid };
std::string_view cgroup_version_name(CgroupVersion version);

inline constexpr std::string_view kMissingCgroup = "cgroup";  // limits by rlimits only
inline constexpr std::string_view kMissingCgroupMemory = "cgroup_memory";
inline constexpr std::string_view kMissingCgroupPids = "cgroup_pids";
inline constexpr std::string_view kMissingCgroupCpu = "cgroup_cpu";
inline constexpr std::string_view kMissingMemoryPeak = "memory_peak";  // not observed
inline constexpr std::string_view kMissingPidsPeak = "pids_peak";      // not observed
inline constexpr std::string_view kMissingUidRange = "uid_range";  // guest runs as the caller's uid
inline constexpr std::string_view kMissingSupplementaryGroups = "supplementary_groups";
inline constexpr std::string_view kMissingLandlock = "landlock";
inline constexpr std::string_view kMissingCoreScheduling = "core_scheduling";
inline constexpr std::string_view kMissingDiskQuota = "disk_quota";        // watched, not enforced
inline constexpr std::string_view kMissingDenialReport = "denial_report";  // denials not observed
inline constexpr std::string_view kMissingPrivateView = "private_view";    // inodes are the host's
// Only in the tiers of hosts that are containers themselves:
inline constexpr std::string_view kMissingMountNamespace = "mount_namespace";
inline constexpr std::string_view kMissingPidNamespace = "pid_namespace";
inline constexpr std::string_view kMissingNetworkNamespace = "network_namespace";
inline constexpr std::string_view kMissingIpcNamespace = "ipc_namespace";
inline constexpr std::string_view kMissingUtsNamespace = "uts_namespace";
inline constexpr std::string_view kMissingUserNamespace = "user_namespace";
inline constexpr std::string_view kMissingOwnRoot = "own_root";  // files are the container's
inline constexpr std::string_view kMissingProc = "proc";         // there is no /proc
inline constexpr std::string_view kMissingChmod = "chmod";       // modes cannot be changed
inline constexpr std::string_view kMissingSockets = "sockets";   // none can be made
inline constexpr std::string_view kMissingSignals = "signals";   // only to its own process

inline constexpr std::string_view kTierFull = "full";
inline constexpr std::string_view kTierNestedGvisor = "nested-gvisor";
inline constexpr std::string_view kTierProcess = "process";

struct Isolation {
  std::string backend = "direct";
  IsolationLevel level = IsolationLevel::kContainer;
  std::string tier = "full";
  CgroupVersion cgroup = CgroupVersion::kNone;
  std::string network = "none";
  std::string seccomp = "default";
  std::string image;  // that was asked for; empty: none
  bool rootless = false;
  // The backend that was to be used and was not available, and why; empty: it is the one.
  std::string fallback_from;
  std::string fallback_reason;
  std::vector<std::string> missing;  // sorted
};

}  // namespace airlock::model
