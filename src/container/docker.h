// Docker: containers of a dockerd, made by runc or, for a kernel of their own, by runsc.
//
// The root is an image of the operator's, to which a layer with our two programs is added once; it
// is known by the ids of both. Files go in and out over the link and as archives: no folder of this
// machine is mounted, so that dockerd may be elsewhere, and we in a container of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "container/container_tier.h"
#include "jail/launcher_host.h"

namespace airlock::container {

struct DockerOptions {
  std::string socket = "/var/run/docker.sock";
  std::string image = "airlock-base";    // a name, or a digest
  std::vector<std::string> images = {};  // others that a caller may ask for
  bool gvisor = false;                   // by the runtime `runsc`, which dockerd has to know
  std::string group_parent;              // jail::LauncherOptions::cgroup_parent
  CommonOptions common = {};
};

// Asks dockerd for its version, what it can do, and the image; removes what owners that are dead
// left there. Where dockerd does not answer, each container tries again. Blocks.
base::Result<std::unique_ptr<ContainerTier>> make_docker_tier(const DockerOptions& options,
                                                              const jail::LauncherHost& host);

}  // namespace airlock::container
