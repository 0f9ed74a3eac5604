// Surroundings: where Airlock runs, as far as it decides which fix is the right one.
//
// A container needs another `docker run` option where a host needs a sysctl; Ubuntu's AppArmor
// needs a profile. Found from a few files; never an error: what cannot be told is kHost.
#pragma once

#include <string>
#include <string_view>

#include "host/host_probe.h"

namespace airlock::host {

enum class ContainerKind { kHost, kDocker, kPodman, kKubernetes, kLxc, kGvisor, kOther };
std::string_view container_kind_name(ContainerKind kind);

ContainerKind find_container(HostProbe& probe);
// Some folders of /proc are hidden by mounts of their own: the kernel then refuses a new /proc.
bool proc_is_masked(HostProbe& probe);
// AppArmor takes all rights away in a user namespace made by an unconfined ordinary user.
bool apparmor_restricts_user_namespaces(HostProbe& probe);
bool selinux_is_enforcing(HostProbe& probe);
bool systemd_is_running(HostProbe& probe);

// The value of a sysctl such as "kernel.core_pattern", trimmed; empty if there is none.
std::string read_sysctl(HostProbe& probe, std::string_view name);
// "sudo sysctl -w NAME=VALUE" and the line that keeps it over a reboot; without sudo for root.
std::string sysctl_fix(HostProbe& probe, std::string_view name, std::string_view value);
// "sudo " for an ordinary user, "" for root.
std::string sudo_prefix(HostProbe& probe);
// The options that a container needs so that sandboxes can be made in it.
std::string container_fix(ContainerKind kind);

}  // namespace airlock::host
