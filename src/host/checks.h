// The checks of `airlock doctor`: pure functions from a HostProbe to findings, one per group.
//
// A finding fails only if runs cannot work at the full tier as this user because of it; whatever
// merely weakens a run is a warning and names what the result will list in isolation.missing. Every
// warning and failure carries a fix that can be copied. `examine` joins all of them and finds out
// nothing on its own; toolchains are added by the caller, because host knows nothing of languages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/finding.h"
#include "host/host_probe.h"

namespace airlock::host {

// What of Airlock itself is to be checked.
struct Question {
  std::string programs;       // the folder of airlock, airlock-jail and airlock-init
  std::string state;          // the state directory; need not exist
  std::uint16_t port = 8088;  // where `airlock serve` listens by default
  std::uint64_t uid_pool_first = 0x7800'0000;  // the launcher's pool when it runs as root
  std::uint64_t uid_pool_count = 0x0400'0000;
};

using Findings = std::vector<Finding>;

Findings check_kernel(HostProbe& probe);
Findings check_namespaces(HostProbe& probe, const Question& question);
Findings check_cgroup(HostProbe& probe);
Findings check_files(HostProbe& probe, const Question& question);
Findings check_memory(HostProbe& probe);
Findings check_host(HostProbe& probe);
Findings check_install(HostProbe& probe, const Question& question);
Findings check_gpus(HostProbe& probe);
Findings check_backends(HostProbe& probe, const Question& question);
Findings check_port(HostProbe& probe, const Question& question);

Report examine(HostProbe& probe, const Question& question);

}  // namespace airlock::host
