#include "host/surroundings.h"

#include <algorithm>

#include "base/ascii.h"
#include "host/proc_files.h"

namespace airlock::host {

namespace {

// gVisor presents one fixed kernel name (pkg/sentry: LinuxRelease, LinuxVersion).
constexpr std::string_view kGvisorRelease = "4.4.0";
constexpr std::string_view kGvisorVersion = "#1 SMP Sun Jan 10 15:06:54 PST 2016";

ContainerKind container_by_name(std::string_view name) {
  if (name == "docker") return ContainerKind::kDocker;
  if (name == "podman" || name == "oci") return ContainerKind::kPodman;
  if (name == "lxc" || name == "lxc-libvirt") return ContainerKind::kLxc;
  return ContainerKind::kOther;
}

// The root of a plain disk: a virtual machine made from an image keeps the container's markers.
bool root_is_a_disk(HostProbe& probe) {
  const std::vector<Mount> mounts = parse_mounts(probe.read("/proc/self/mountinfo").value_or(""));
  return std::ranges::any_of(mounts, [](const Mount& mount) {
    const bool disk = mount.type == "ext4" || mount.type == "xfs" || mount.type == "btrfs";
    return mount.point == "/" && mount.root == "/" && disk;
  });
}

}  // namespace

std::string_view container_kind_name(ContainerKind kind) {
  switch (kind) {
    case ContainerKind::kHost: return "none";
    case ContainerKind::kDocker: return "Docker";
    case ContainerKind::kPodman: return "Podman";
    case ContainerKind::kKubernetes: return "Kubernetes";
    case ContainerKind::kLxc: return "LXC";
    case ContainerKind::kGvisor: return "gVisor";
    case ContainerKind::kOther: return "a container";
  }
  return "a container";
}

ContainerKind find_container(HostProbe& probe) {
  const KernelName kernel = probe.kernel();
  if (kernel.release == kGvisorRelease && kernel.version == kGvisorVersion) {
    return ContainerKind::kGvisor;
  }
  if (probe.facts("/var/run/secrets/kubernetes.io")) return ContainerKind::kKubernetes;
  if (!root_is_a_disk(probe)) {
    if (probe.facts("/.dockerenv")) return ContainerKind::kDocker;
    if (probe.facts("/run/.containerenv")) return ContainerKind::kPodman;
  }
  if (const auto name = probe.read("/run/systemd/container");
      name && !base::trimmed(*name).empty()) {
    return container_by_name(base::trimmed(*name));
  }
  if (const auto environment = probe.read("/proc/1/environ")) {
    for (const std::string_view entry : split(*environment, '\0')) {
      if (entry.starts_with("container=")) return container_by_name(entry.substr(10));
    }
  }
  return ContainerKind::kHost;
}

bool proc_is_masked(HostProbe& probe) {
  const std::vector<Mount> mounts = parse_mounts(probe.read("/proc/self/mountinfo").value_or(""));
  return std::ranges::any_of(mounts, [](const Mount& mount) {
    // An autofs or binfmt_misc file system there is normal on a host and hides nothing.
    return mount.point.starts_with("/proc/") && mount.type != "autofs" &&
           mount.type != "binfmt_misc";
  });
}

bool apparmor_restricts_user_namespaces(HostProbe& probe) {
  return read_sysctl(probe, "kernel.apparmor_restrict_unprivileged_userns") == "1";
}

bool selinux_is_enforcing(HostProbe& probe) {
  return base::trimmed(probe.read("/sys/fs/selinux/enforce").value_or("")) == "1";
}

bool systemd_is_running(HostProbe& probe) {
  return probe.facts("/run/systemd/system").has_value();  // what sd_booted(3) looks at
}

std::string read_sysctl(HostProbe& probe, std::string_view name) {
  std::string path = "/proc/sys/" + std::string(name);
  std::ranges::replace(path, '.', '/');
  return std::string(base::trimmed(probe.read(path).value_or("")));
}

std::string sysctl_fix(HostProbe& probe, std::string_view name, std::string_view value) {
  const std::string setting = std::string(name) + "=" + std::string(value);
  return "echo " + setting + " | " + sudo_prefix(probe) + "tee -a /etc/sysctl.d/60-airlock.conf\n" +
         sudo_prefix(probe) + "sysctl -w " + setting;
}

std::string sudo_prefix(HostProbe& probe) { return probe.identity().is_root() ? "" : "sudo "; }

std::string container_fix(ContainerKind kind) {
  switch (kind) {
    case ContainerKind::kKubernetes:
      return "in the pod's securityContext: procMount: Unmasked, seccompProfile.type: Unconfined, "
             "appArmorProfile.type: Unconfined, and hostUsers: false in the pod's spec";
    case ContainerKind::kLxc:
      return "lxc config set CONTAINER security.nesting true && lxc restart CONTAINER";
    case ContainerKind::kGvisor:
      return "run Airlock on the host, or in a container of runc instead of runsc";
    case ContainerKind::kPodman:
      return "podman run --security-opt seccomp=unconfined --security-opt unmask=ALL "
             "--security-opt label=disable IMAGE";
    case ContainerKind::kDocker:
    case ContainerKind::kOther:
    case ContainerKind::kHost: break;
  }
  return "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
         "--security-opt systempaths=unconfined IMAGE";
}

}  // namespace airlock::host
