// The kernel itself: its age, and the system calls that the launcher stands on.
#include <cerrno>
#include <cstring>
#include <string>

#include "base/ascii.h"
#include "host/checks.h"
#include "host/proc_files.h"
#include "host/surroundings.h"
#include "model/isolation.h"

namespace airlock::host {

namespace {

constexpr std::string_view kGroup = "kernel";
// openat2 and clone3 with cgroup came by 5.7, the seccomp listener's last flag we use by 5.5;
// overlay and tmpfs quotas in user namespaces by 5.11. Tested from 6.1 up.
constexpr KernelVersion kKernelMin{5, 11};
constexpr KernelVersion kKernelTested{6, 1};

std::string upgrade_fix(HostProbe& probe) {
  const std::string sudo = sudo_prefix(probe);
  return "install a newer kernel and reboot; on Debian or Ubuntu: " + sudo + "apt-get update && " +
         sudo + "apt-get full-upgrade && " + sudo + "reboot";
}

Finding check_version(HostProbe& probe) {
  const KernelName kernel = probe.kernel();
  const std::string seen = kernel.release + " " + kernel.machine;
  const auto version = parse_kernel_version(kernel.release);
  if (kernel.machine != "x86_64") {
    return fail_finding(kGroup, "kernel", seen, "the seccomp profiles are made for x86_64 only",
                        "run Airlock on an x86_64 machine");
  }
  if (!version || *version < kKernelMin) {
    return fail_finding(kGroup, "kernel", seen,
                        "Linux 5.11 or newer is needed for clone3, openat2 and mounts in user "
                        "namespaces; tested from 6.1 up",
                        upgrade_fix(probe));
  }
  if (*version < kKernelTested) {
    return warn_finding(kGroup, "kernel", seen, "runs are tested from Linux 6.1 up",
                        upgrade_fix(probe));
  }
  return ok_finding(kGroup, "kernel", seen);
}

struct NeededCall {
  Trial trial;
  std::string_view name;
};

constexpr NeededCall kNeededCalls[] = {{Trial::kClone3, "clone3"},
                                       {Trial::kPidfd, "pidfd"},
                                       {Trial::kOpenat2, "openat2"},
                                       {Trial::kMountApi, "mount API"}};

Finding check_calls(HostProbe& probe) {
  std::string present;
  std::string absent;
  for (const NeededCall& call : kNeededCalls) {
    const Attempt attempt = probe.attempt(call.trial);
    std::string& list = attempt.worked() ? present : absent;
    if (!list.empty()) list += ", ";
    list += call.name;
    if (!attempt.worked()) list += std::string(" (") + std::strerror(attempt.os_errno) + ")";
  }
  if (absent.empty()) return ok_finding(kGroup, "system_calls", present);
  const ContainerKind container = find_container(probe);
  return fail_finding(
      kGroup, "system_calls", "refused: " + absent,
      "sandboxes are started with these calls; an old kernel lacks them, a "
      "container's seccomp profile may refuse them",
      container == ContainerKind::kHost ? upgrade_fix(probe) : container_fix(container));
}

Finding check_seccomp(HostProbe& probe) {
  const Attempt filter = probe.attempt(Trial::kSeccompFilter);
  if (!filter.worked()) {
    return fail_finding(
        kGroup, "seccomp",
        std::string("no filter can be installed: ") + std::strerror(filter.os_errno),
        "no program is run without a system call filter",
        "boot a kernel with CONFIG_SECCOMP_FILTER=y (every distribution's has it)");
  }
  const Attempt notify = probe.attempt(Trial::kSeccompNotify);
  if (notify.worked()) return ok_finding(kGroup, "seccomp", "filter, user notification");
  Finding finding = warn_finding(
      kGroup, "seccomp",
      std::string("filter; no user notification: ") + std::strerror(notify.os_errno),
      "forbidden system calls are refused as always, but the result cannot say which; only one "
      "listener can be had, so a container's supervisor may hold it already",
      find_container(probe) == ContainerKind::kHost ? upgrade_fix(probe)
                                                    : container_fix(find_container(probe)));
  finding.missing = {std::string(model::kMissingDenialReport)};
  return finding;
}

// The list of security modules is replaced as a whole, so the fix repeats those that are active.
std::string landlock_boot_fix(HostProbe& probe) {
  const std::string sudo = sudo_prefix(probe);
  const std::string active = probe.read("/sys/kernel/security/lsm").value_or("lockdown,yama");
  return sudo + "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&lsm=landlock," +
         std::string(base::trimmed(active)) + " /' /etc/default/grub && " + sudo +
         "update-grub && " + sudo + "reboot";
}

Finding check_landlock(HostProbe& probe) {
  const Attempt landlock = probe.attempt(Trial::kLandlock);
  if (landlock.worked()) {
    return ok_finding(kGroup, "landlock", "ABI " + std::to_string(landlock.value));
  }
  const bool off = landlock.os_errno == EOPNOTSUPP;
  Finding finding = warn_finding(
      kGroup, "landlock", off ? "built in, but switched off at boot" : "not in this kernel",
      "the second wall around files is missing; the mount namespace alone hides the host",
      off ? landlock_boot_fix(probe) : upgrade_fix(probe));
  finding.missing = {std::string(model::kMissingLandlock)};
  return finding;
}

Finding check_core_scheduling(HostProbe& probe) {
  const Attempt attempt = probe.attempt(Trial::kCoreScheduling);
  if (attempt.worked()) return ok_finding(kGroup, "core_scheduling", "available");
  const bool no_smt =
      base::trimmed(probe.read("/sys/devices/system/cpu/smt/active").value_or("")) == "0";
  if (no_smt) {
    return ok_finding(kGroup, "core_scheduling", "not to be had, and not needed: SMT is off",
                      "no two programs ever share a core at the same time");
  }
  Finding finding = warn_finding(
      kGroup, "core_scheduling", std::string("not to be had: ") + std::strerror(attempt.os_errno),
      "two sandboxes may run on the two threads of one core at once, which side-channel attacks "
      "need; it matters where tenants do not trust each other",
      "boot a kernel with CONFIG_SCHED_CORE=y, or switch SMT off: echo off | " +
          sudo_prefix(probe) + "tee /sys/devices/system/cpu/smt/control");
  finding.missing = {std::string(model::kMissingCoreScheduling)};
  return finding;
}

}  // namespace

Findings check_kernel(HostProbe& probe) {
  return {check_version(probe), check_calls(probe), check_seccomp(probe), check_landlock(probe),
          check_core_scheduling(probe)};
}

}  // namespace airlock::host
