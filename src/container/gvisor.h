// gVisor without Docker: containers of runsc, from bundles of ours, in cgroups of ours.
//
// The root is what native sandboxes see: the host's /usr and a skeleton; the workspace has the same
// quota. runsc, its gofer and its sentry belong to the cgroup of the sandbox, so that memory and
// time are limited and counted as ever, the sentry's included.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "container/container_tier.h"
#include "jail/launcher_host.h"

namespace airlock::container {

struct GvisorOptions {
  std::string program = "runsc";          // looked up in PATH
  std::string platform = "ptrace";        // ptrace, kvm, systrap: of runsc
  std::string file_access = "exclusive";  // exclusive, shared
  std::string run_directory;              // for bundles
  CommonOptions common = {};
};

// Whether runsc is there shows when the first container is made.
base::Result<std::unique_ptr<ContainerTier>> make_gvisor_tier(const GvisorOptions& options,
                                                              const jail::LauncherHost& host);

}  // namespace airlock::container
