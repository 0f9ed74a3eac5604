// Cgroups: which limits the kernel will enforce on a run, tried in a group that is removed again.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <string>

#include "host/cgroup_layout.h"
#include "host/checks.h"
#include "host/proc_files.h"
#include "host/surroundings.h"
#include "model/isolation.h"

namespace airlock::host {

namespace {

constexpr std::string_view kGroup = "cgroup";
constexpr KernelVersion kMemoryPeakSince{5, 19};  // memory.peak of cgroup v2
constexpr KernelVersion kPidsPeakSince{6, 11};    // pids.peak of v1 and v2

struct ControllerRule {
  std::string_view name;
  std::string_view missing;  // of model/isolation.h
  CgroupLimit v1;
  CgroupLimit v2;
};

const ControllerRule kRules[] = {
    {"memory",
     model::kMissingCgroupMemory,
     {"memory.limit_in_bytes", "67108864"},
     {"memory.max", "67108864"}},
    {"pids", model::kMissingCgroupPids, {"pids.max", "64"}, {"pids.max", "64"}},
    {"cpu", model::kMissingCgroupCpu, {"cpu.cfs_quota_us", "100000"}, {"cpu.max", "100000 100000"}},
};

// What the trials came to, by controller: empty if its limit holds, else why it does not.
struct Trials {
  std::map<std::string, std::string, std::less<>> problems;
  std::vector<std::string> files;
  std::vector<std::string_view> written;  // controllers whose limit was really set
  bool holds(std::string_view controller) const {
    const auto found = problems.find(controller);
    return found != problems.end() && found->second.empty();
  }
  // Its limit will hold as soon as the launcher hands the controller down.
  bool awaits(std::string_view controller) const {
    return holds(controller) && !has(written, controller);
  }
  bool has_file(std::string_view name) const { return has(files, name); }
};

std::string failure_at(const std::string& path, int os_errno) {
  return path + ": " + std::strerror(os_errno);
}

// A v2 controller that is offered but not yet handed down: the launcher does that at its start.
std::string judge_absent_limit(HostProbe& probe, const CgroupPlace& place, const std::string& file,
                               int os_errno) {
  if (!place.unified || os_errno != ENOENT)
    return failure_at(place.parent + "/*/" + file, os_errno);
  if (can_enable_controllers(probe, place.parent)) return {};
  return place.parent + " holds other processes, so it hands no controllers down";
}

void try_place(HostProbe& probe, const CgroupPlace& place, Trials* trials) {
  CgroupTrial trial{.parent = place.parent,
                    .limits = {},
                    .files = {"memory.peak", "memory.max_usage_in_bytes", "pids.peak",
                              "memory.swap.max", "memory.memsw.limit_in_bytes"}};
  for (const ControllerRule& rule : kRules) {
    if (!has(place.controllers, rule.name)) continue;
    trial.limits.push_back(place.unified ? rule.v2 : rule.v1);
  }
  if (trial.limits.empty()) return;
  const CgroupAttempt attempt = probe.attempt_cgroup(trial);
  trials->files.insert(trials->files.end(), attempt.files.begin(), attempt.files.end());
  std::size_t index = 0;
  for (const ControllerRule& rule : kRules) {
    if (!has(place.controllers, rule.name)) continue;
    std::string problem;
    if (attempt.made.worked() && attempt.limits[index].worked()) {
      trials->written.push_back(rule.name);
    }
    if (!attempt.made.worked()) {
      problem = failure_at("mkdir in " + place.parent, attempt.made.os_errno);
    } else if (!attempt.limits[index].worked()) {
      problem = judge_absent_limit(probe, place, trial.limits[index].file,
                                   attempt.limits[index].os_errno);
    } else if (!attempt.entered.worked()) {
      problem = failure_at(place.parent + "/*/cgroup.procs", attempt.entered.os_errno);
    }
    ++index;
    // A second hierarchy never takes away what a first one gave.
    if (!trials->holds(rule.name)) trials->problems[std::string(rule.name)] = problem;
  }
}

std::string delegation_fix(HostProbe& probe, const Trials& trials) {
  if (systemd_is_running(probe)) {
    const bool offered = !trials.problems.empty();
    std::string scope = "systemd-run --user --scope -p Delegate=yes airlock run PROGRAM";
    if (offered) return scope;
    return "sudo mkdir -p /etc/systemd/system/user@.service.d\n"
           "printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo tee "
           "/etc/systemd/system/user@.service.d/delegate.conf\n"
           "sudo systemctl daemon-reload (then log in again)\n" +
           scope;
  }
  const std::string user = std::to_string(probe.identity().uid);
  const std::string group = find_cgroup_layout(probe).unified_mount + "/airlock-user-" + user;
  return "echo '+memory +pids +cpu' | sudo tee " + find_cgroup_layout(probe).unified_mount +
         "/cgroup.subtree_control\nsudo mkdir " + group + " && sudo chown -R " + user + " " +
         group + "\nsh -c 'echo $$ | sudo tee " + group +
         "/cgroup.procs && exec airlock run PROGRAM'";
}

std::string limits_fix(HostProbe& probe, const CgroupLayout& layout, const Trials& trials) {
  const ContainerKind container = find_container(probe);
  if (container != ContainerKind::kHost) {
    return "give the container its cgroup writable: docker run --privileged --cgroupns=private, or "
           "run Airlock on the host";
  }
  if (!probe.identity().is_root()) {
    if (layout.version == model::CgroupVersion::kV2) return delegation_fix(probe, trials);
    if (!systemd_is_running(probe)) return "run as root: sudo airlock run PROGRAM";
    return "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&systemd.unified_cgroup_hierarchy=1 /' "
           "/etc/default/grub && sudo update-grub && sudo reboot (changes this host to cgroup v2; "
           "or run as root)";
  }
  if (layout.version == model::CgroupVersion::kNone) {
    return "mount -t cgroup2 cgroup2 /sys/fs/cgroup";
  }
  return "boot with cgroup_enable=memory (cat /proc/cgroups shows what is switched off), or free "
         "the group that holds the processes named above";
}

Finding check_version(HostProbe& probe, const CgroupLayout& layout) {
  using model::CgroupVersion;
  if (layout.version == CgroupVersion::kNone) {
    return warn_finding(kGroup, "cgroup_version", "no cgroup file system is mounted",
                        "limits are set by rlimits, which count each process by itself",
                        limits_fix(probe, layout, {}));
  }
  std::string seen(model::cgroup_version_name(layout.version));
  if (layout.version == CgroupVersion::kV2) seen += " at " + layout.unified_mount;
  if (layout.version == CgroupVersion::kHybrid) seen += ", v2 at " + layout.unified_mount;
  return ok_finding(kGroup, "cgroup_version", seen);
}

std::string absence_text(HostProbe& probe, const CgroupLayout& layout) {
  using model::CgroupVersion;
  switch (layout.version) {
    case CgroupVersion::kNone: return "no cgroup file system is mounted";
    case CgroupVersion::kV1:
    case CgroupVersion::kHybrid:
      if (!probe.identity().is_root()) {
        return "the controllers are on cgroup v1, which only root may use";
      }
      [[fallthrough]];
    case CgroupVersion::kV2: break;
  }
  return "the controller is not offered";
}

Finding check_limits(HostProbe& probe, const CgroupLayout& layout, const Trials& trials) {
  std::string holding;
  std::string problems;
  std::vector<std::string> missing;
  for (const ControllerRule& rule : kRules) {
    if (trials.holds(rule.name)) {
      holding += (holding.empty() ? "" : ", ") + std::string(rule.name);
      continue;
    }
    missing.emplace_back(rule.missing);
    const auto found = trials.problems.find(rule.name);
    const std::string why =
        found != trials.problems.end() ? found->second : absence_text(probe, layout);
    // One cause for all controllers is said once.
    if (problems.find(why) != std::string::npos) continue;
    problems += (problems.empty() ? "" : "; ") + why;
  }
  if (missing.empty()) {
    return ok_finding(kGroup, "cgroup_limits", "a group was made, limited and entered: " + holding);
  }
  const bool none = holding.empty();
  if (none) missing = {std::string(model::kMissingCgroup)};
  const char* meaning =
      none ? "memory and processes are limited by rlimits only: each process by itself, not the "
             "program as a whole, and a result cannot say out_of_memory for certain"
           : "these limits are set by rlimits only; the others hold";
  Finding finding =
      warn_finding(kGroup, "cgroup_limits",
                   (none ? "no limit holds: " : "only " + holding + " hold: ") + problems, meaning,
                   limits_fix(probe, layout, trials));
  finding.missing = missing;
  return finding;
}

// A peak is measured where the kernel keeps it. The files of a controller that is yet to be handed
// down cannot be seen; then the kernel's age tells.
Finding check_usage(HostProbe& probe, const Trials& trials) {
  const auto version = parse_kernel_version(probe.kernel().release).value_or(KernelVersion{});
  const bool memory_kept = trials.has_file("memory.peak") ||
                           trials.has_file("memory.max_usage_in_bytes") ||
                           (trials.awaits("memory") && version >= kMemoryPeakSince);
  const bool pids_kept =
      trials.has_file("pids.peak") || (trials.awaits("pids") && version >= kPidsPeakSince);
  std::string absent;
  std::vector<std::string> missing;
  if (!memory_kept) {
    absent = "peak memory";
    missing.emplace_back(model::kMissingMemoryPeak);
  }
  if (!pids_kept) {
    absent += (absent.empty() ? "" : " and ") + std::string("peak process count");
    missing.emplace_back(model::kMissingPidsPeak);
  }
  if (missing.empty()) {
    return ok_finding(kGroup, "cgroup_usage", "peak memory and peak process count are measured");
  }
  Finding finding = ok_finding(kGroup, "cgroup_usage", absent + " not measured here",
                               "no limit depends on it; usage leaves the figure out");
  finding.missing = missing;
  return finding;
}

Finding check_swap(HostProbe& probe, const Trials& trials) {
  const std::string swaps = probe.read("/proc/swaps").value_or("");
  const bool swap_on = lines_of(swaps).size() > 1;  // the first line is the heading
  if (!swap_on) return ok_finding(kGroup, "swap", "none");
  if (trials.awaits("memory") || trials.has_file("memory.swap.max") ||
      trials.has_file("memory.memsw.limit_in_bytes")) {
    return ok_finding(kGroup, "swap", "on; programs are kept out of it");
  }
  return warn_finding(kGroup, "swap", "on, and its use cannot be limited",
                      "a program may use more than its memory limit by filling the host's swap",
                      sudo_prefix(probe) + "swapoff -a");
}

}  // namespace

Findings check_cgroup(HostProbe& probe) {
  const CgroupLayout layout = find_cgroup_layout(probe);
  Trials trials;
  for (const CgroupPlace& place : layout.places) {
    const bool usable = place.unified || probe.identity().is_root();
    if (usable) try_place(probe, place, &trials);
  }
  Findings findings{check_version(probe, layout), check_limits(probe, layout, trials)};
  findings.push_back(check_usage(probe, trials));
  findings.push_back(check_swap(probe, trials));
  return findings;
}

}  // namespace airlock::host
