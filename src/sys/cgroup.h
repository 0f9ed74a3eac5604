// Cgroup: one group of processes with limits that hold, on cgroup v2, v1 or a hybrid of both.
//
// CgroupHost is what this host offers, found once by the launcher: for each controller the
// directory below which groups of ours are made. Cgroup is one group: its destructor kills what is
// inside and removes it. Groups are made below a parent of our own; nothing else is ever touched.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace airlock::sys {

enum class CgroupKind : std::uint8_t { kNone, kV1, kV2, kHybrid };

// Controllers that are used, as bits. kControllerCpu limits the rate, kControllerCpuacct measures.
enum Controller : std::uint8_t {
  kControllerMemory = 1,
  kControllerPids = 2,
  kControllerCpu = 4,
  kControllerCpuacct = 8,
};

struct CgroupHierarchy {
  bool unified = false;          // cgroup v2
  std::uint8_t controllers = 0;  // bits of Controller
  std::string path;              // our parent directory, e.g. /sys/fs/cgroup/memory/airlock
  base::UniqueFd parent_fd;
};

struct CgroupHost {
  CgroupKind kind = CgroupKind::kNone;
  std::vector<CgroupHierarchy> hierarchies;
  std::uint8_t controllers = 0;  // all that can be used
};

// Finds the hierarchies in /proc/self/mounts and makes `parent_name` ("airlock") below each. As an
// ordinary user only a delegated cgroup v2 subtree is used. Never an error: what cannot be had is
// absent.
CgroupHost open_cgroup_host(std::string_view parent_name, bool privileged);

// Whether a group of this host has a part in the v2 tree.
bool has_unified(const CgroupHost& host);

struct CgroupLimits {
  std::uint64_t memory_bytes = 0;      // 0 = none
  std::uint32_t pids = 0;              // 0 = none
  std::uint32_t cpu_rate_percent = 0;  // 0 = none

  bool operator==(const CgroupLimits&) const = default;
};

struct CgroupUsage {
  std::optional<std::uint64_t> cpu_ns;
  std::optional<std::uint64_t> memory_peak_bytes;
  std::optional<std::uint64_t> pids_peak;
  std::uint64_t oom_kills = 0;
  std::uint64_t pids_denied = 0;
};

class Cgroup {
 public:
  // Makes the group `name` ("s12.0", or "s12/0" below an existing group) in every hierarchy that is
  // needed for `limits`; cpu only when a rate is asked for. A leftover of that name is removed
  // first. With `for_children` it is made in every hierarchy, whatever they will need.
  static base::Result<Cgroup> create(const CgroupHost& host, const std::string& name,
                                     const CgroupLimits& limits, bool for_children = false);
  Cgroup() = default;
  Cgroup(Cgroup&&) = default;
  Cgroup& operator=(Cgroup&&) = delete;
  // Takes over `other`; this one must be empty.
  void take(Cgroup&& other);
  ~Cgroup();

  bool valid() const { return !groups_.empty(); }
  const std::string& name() const { return name_; }
  // Descriptors through which a process with one thread moves itself here by writing "0" to each,
  // whatever its own credentials are: who opened them counts. On v1 that way takes no lock that
  // waits for all processors, as moving another process by its pid does.
  std::vector<base::UniqueFd> open_entrances(bool also_unified) const;
  // The v2 directory, for CLONE_INTO_CGROUP; -1 if there is none.
  int unified_fd() const;
  // Lets groups below this one have limits of their own (v2 wants that said).
  void enable_children();
  int set_limits(const CgroupLimits& limits);
  bool can_limit_rate() const { return find(kControllerCpu) != nullptr; }
  std::optional<std::uint64_t> cpu_ns() const;
  CgroupUsage usage() const;
  std::uint64_t oom_kills() const;
  // Signals every member once.
  void signal_all(int number);
  // SIGKILL for every member but `spared_pid`; no new ones can come. Returns at once.
  void kill_all(int spared_pid = 0);
  // No member but `spared_pid`, in any hierarchy.
  bool empty(int spared_pid = 0) const;
  // Removes the group; it must be empty. True when it is gone.
  bool remove();
  // An fd that becomes readable (v1: eventfd; v2: POLLPRI on memory.events) when memory ran out;
  // -1 until it is watched for.
  void watch_oom();
  int oom_event_fd() const { return oom_event_.get(); }
  short oom_event_mask() const;
  void acknowledge_oom_event();

 private:
  struct Group {
    const CgroupHierarchy* hierarchy;
    base::UniqueFd fd;
  };
  const Group* find(std::uint8_t controller) const;

  std::string name_;
  bool holds_groups_ = false;
  std::vector<Group> groups_;
  base::UniqueFd oom_event_;
};

// Kills and removes every group "s<slot>..." of ours but `kept` that `claim(slot)` gives to us; the
// claim has to last until the next one. True if a group was left to its living owner.
bool sweep_cgroups(const CgroupHost& host, const std::string& kept,
                   bool (*claim)(void* context, std::uint32_t slot), void* context);

}  // namespace airlock::sys
