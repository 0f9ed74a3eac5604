// What makes sandboxes besides the native backend: whether runsc and dockerd are there. Looks at
// files only, and asks nobody: a dockerd may hang, and who may talk to it is root.
#include <array>
#include <span>
#include <string>

#include "host/checks.h"
#include "host/surroundings.h"

namespace airlock::host {

namespace {

constexpr std::string_view kGroup = "backends";
constexpr std::array kRunsc = {"/usr/local/sbin/runsc", "/usr/local/bin/runsc", "/usr/sbin/runsc",
                               "/usr/bin/runsc"};
constexpr std::array kSockets = {"/var/run/docker.sock", "/run/docker.sock"};

std::string first_of(HostProbe& probe, std::span<const char* const> paths) {
  for (const char* const path : paths) {
    if (probe.facts(path)) return path;
  }
  return {};
}

Finding check_gvisor(HostProbe& probe) {
  const std::string path = first_of(probe, kRunsc);
  if (path.empty()) {
    return ok_finding(kGroup, "gvisor", "no runsc",
                      "execution.mode gvisor cannot be had; on Debian: apt-get install -y runsc");
  }
  if (!probe.may_execute(path)) {
    return warn_finding(kGroup, "gvisor", path + " may not be executed by this user",
                        "execution.mode gvisor cannot be had",
                        sudo_prefix(probe) + "chmod 0755 " + path);
  }
  return ok_finding(kGroup, "gvisor", path, "for execution.mode gvisor, as root");
}

Finding check_docker(HostProbe& probe) {
  const std::string path = first_of(probe, kSockets);
  if (path.empty()) {
    return ok_finding(kGroup, "docker", "no socket of dockerd",
                      "execution.mode docker cannot be had, or execution.docker_socket names it");
  }
  return ok_finding(kGroup, "docker", path,
                    "for execution.mode docker. Whoever may write to it is root on this host: a "
                    "rootless dockerd is safer");
}

// Nobody starts them in the modes auto and direct.
Finding check_broker(HostProbe& probe, const Question& question) {
  for (const char* const name : {"airlock-broker", "airlock-link"}) {
    const std::string path = question.programs + "/" + name;
    if (!probe.facts(path)) {
      return warn_finding(kGroup, "airlock-broker", path + " is not there",
                          "only execution.mode auto and direct can be had without",
                          "install it beside airlock, from the same build");
    }
  }
  return ok_finding(kGroup, "airlock-broker", "it and airlock-link are there", "");
}

}  // namespace

Findings check_backends(HostProbe& probe, const Question& question) {
  return {check_gvisor(probe), check_docker(probe), check_broker(probe, question)};
}

}  // namespace airlock::host
