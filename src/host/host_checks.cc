// Memory, and the settings of the host that change what a guest can see, reach or get.
#include <string>

#include "base/ascii.h"
#include "base/units.h"
#include "host/checks.h"
#include "host/proc_files.h"
#include "host/surroundings.h"
#include "model/limits.h"

namespace airlock::host {

namespace {

constexpr std::string_view kMemory = "memory";
constexpr std::string_view kHost = "host";

Finding check_available(HostProbe& probe) {
  const std::string text = probe.read("/proc/meminfo").value_or("");
  const auto available = parse_meminfo(text, "MemAvailable");
  const auto total = parse_meminfo(text, "MemTotal");
  if (!available || !total) {
    return warn_finding(kMemory, "memory", "/proc/meminfo cannot be read",
                        "how much memory runs can have is not known", "mount -t proc proc /proc");
  }
  const std::string seen = base::format_byte_count(base::ByteCount(*available)) + " available of " +
                           base::format_byte_count(base::ByteCount(*total));
  const base::ByteCount needed = model::Limits{}.memory;
  if (*available >= needed.count()) return ok_finding(kMemory, "memory", seen);
  return warn_finding(kMemory, "memory", seen,
                      "less than the " + base::format_byte_count(needed) +
                          " that one run may use by default: the host may run out first",
                      "airlock run --memory 128m PROGRAM, or free memory on this host");
}

Finding check_overcommit(HostProbe& probe) {
  const std::string mode = read_sysctl(probe, "vm.overcommit_memory");
  if (mode != "2") return ok_finding(kMemory, "overcommit", "vm.overcommit_memory=" + mode);
  return warn_finding(kMemory, "overcommit", "vm.overcommit_memory=2: reservations are counted",
                      "Go, Java and Node reserve far more address space than they use and fail to "
                      "start; forks of large programs fail",
                      sysctl_fix(probe, "vm.overcommit_memory", "0"));
}

Finding check_container(HostProbe& probe) {
  const ContainerKind container = find_container(probe);
  if (container == ContainerKind::kHost) return ok_finding(kHost, "container", "not in one");
  return ok_finding(kHost, "container", "inside " + std::string(container_kind_name(container)),
                    "limits and rights of that container come on top of Airlock's");
}

// RLIMIT_CORE does not stop a piped core: core(5), "Piping core dumps to a program".
Finding check_core_pattern(HostProbe& probe) {
  const std::string pattern = read_sysctl(probe, "kernel.core_pattern");
  if (!pattern.starts_with('|')) {
    return ok_finding(kHost, "core_dumps", pattern.empty() ? "none" : "files: " + pattern);
  }
  return warn_finding(kHost, "core_dumps", "piped to a program of the host: " + pattern.substr(1),
                      "when a guest crashes the kernel starts that program outside of the "
                      "sandbox, as root, to read the guest's memory; no limit on core files stops "
                      "it, so its parser is within a guest's reach",
                      sysctl_fix(probe, "kernel.core_pattern", "core"));
}

Finding check_security_modules(HostProbe& probe) {
  std::string seen;
  const auto add = [&seen](const std::string& text) { seen += (seen.empty() ? "" : ", ") + text; };
  if (const auto label = probe.read("/proc/self/attr/apparmor/current")) {
    add("AppArmor: " + std::string(base::trimmed(*label)));
  } else if (probe.facts("/sys/kernel/security/apparmor")) {
    add("AppArmor");
  }
  if (probe.facts("/sys/fs/selinux/enforce")) {
    add(selinux_is_enforcing(probe) ? "SELinux enforcing" : "SELinux permissive");
  }
  const std::string yama = read_sysctl(probe, "kernel.yama.ptrace_scope");
  if (!yama.empty()) add("Yama ptrace_scope " + yama);
  return ok_finding(kHost, "security_modules", seen.empty() ? "none that matter" : seen);
}

Finding check_user_namespace_block(HostProbe& probe) {
  // As root the block does not matter, but the same host will refuse ordinary users.
  if (!probe.identity().is_root() || !apparmor_restricts_user_namespaces(probe)) {
    return ok_finding(kHost, "apparmor_userns",
                      apparmor_restricts_user_namespaces(probe) ? "restricted" : "not restricted");
  }
  return ok_finding(kHost, "apparmor_userns", "user namespaces are restricted for ordinary users",
                    "root is not affected; run `airlock doctor` as the user to see the fix");
}

}  // namespace

Findings check_memory(HostProbe& probe) {
  return {check_available(probe), check_overcommit(probe)};
}

Findings check_host(HostProbe& probe) {
  return {check_container(probe), check_security_modules(probe), check_user_namespace_block(probe),
          check_core_pattern(probe)};
}

}  // namespace airlock::host
