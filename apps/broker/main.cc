// airlock-broker: the launcher of containers. Makes the sandboxes of a backend other than the
// native one, asked for by the same protocol (jail/wire.h), whose every message it checks.
//
//   airlock-broker --backend gvisor --control-fd N [OPTION...]
//
// Only this program is to have what a runtime takes, which is root or as good as root: a daemon
// that was taken over can have containers of our template made, and nothing else.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "container/docker.h"
#include "container/gvisor.h"
#include "container/runtime.h"
#include "jail/hand_down.h"
#include "jail/launcher.h"
#include "jail/launcher_host.h"

namespace airlock::container {
namespace {

int refuse(const base::Error& error) {
  std::fprintf(stderr, "airlock-broker: %s%s%s\n", error.to_string().c_str(),
               error.hint.empty() ? "" : "; ", error.hint.c_str());
  return 1;
}

// Options of our own, taken out of the words; the rest are a launcher's.
struct BrokerWords {
  std::string backend;
  GvisorOptions gvisor;
  DockerOptions docker;
  std::vector<char*> rest;
};

BrokerWords take_words(int argc, char** argv) {
  BrokerWords words;
  for (int i = 0; i < argc; ++i) {
    const std::string_view word = argv[i];
    std::string* const value = word == "--backend"              ? &words.backend
                               : word == "--gvisor-program"     ? &words.gvisor.program
                               : word == "--gvisor-platform"    ? &words.gvisor.platform
                               : word == "--gvisor-file-access" ? &words.gvisor.file_access
                               : word == "--docker-socket"      ? &words.docker.socket
                               : word == "--docker-image"       ? &words.docker.image
                                                                : nullptr;
    if (value != nullptr && i + 1 < argc) {
      *value = argv[++i];
    } else {
      words.rest.push_back(argv[i]);  // a launcher's, or refused as none
    }
  }
  return words;
}

std::string folder_of_ourselves() {
  const std::string beside = jail::beside_ourselves("");
  return beside.substr(0, beside.size() - 1);
}

int run(int argc, char** argv) {
  setsid();
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // what a shim leaves, we reap
  BrokerWords words = take_words(argc, argv);
  int control_fd = -1;
  auto options = jail::parse_launcher_arguments(static_cast<int>(words.rest.size()),
                                                words.rest.data(), &control_fd);
  if (!options) return refuse(options.error());
  base::UniqueFd control(control_fd);
  fcntl(control.get(), F_SETFD, FD_CLOEXEC);
  const bool is_gvisor = words.backend == "gvisor";
  words.docker.gvisor = words.backend == "docker+gvisor";
  if (!is_gvisor && !words.docker.gvisor && words.backend != "docker") {
    std::fputs("airlock-broker: --backend is gvisor, docker or docker+gvisor\n", stderr);
    return 2;
  }
  if (options->run_directory.empty()) options->run_directory = jail::default_run_directory();
  // Slots, groups and workspaces have numbers that begin with 0 for each launcher of a host.
  options->run_directory += "-" + words.backend;
  options->cgroup_parent += "-" + words.backend;
  if (options->state_directory.empty()) options->state_directory = jail::default_state_directory();
  mkdir(options->state_directory.c_str(), 0711);
  options->state_directory += "/" + words.backend;
  mkdir(options->state_directory.c_str(), 0700);
  options->points.emplace_back(kProgramsFolder);
  // Known before dockerd is asked, who may take long or hang.
  if (std::exchange(options->tells_when_settled, false)) {
    const jail::Tier tier = is_gvisor             ? jail::Tier::kGvisor
                            : words.docker.gvisor ? jail::Tier::kDockerGvisor
                                                  : jail::Tier::kDocker;
    send(control.get(), &tier, sizeof tier, MSG_NOSIGNAL);
  }
  auto host = jail::LauncherHost::open(*options);
  if (!host) return refuse(host.error());
  host->complete(*options);
  host->seccomp_listener = false;  // no descriptor of it could be passed out of a container
  if (auto view = jail::check_host_view(&host->view); !view) return refuse(view.error());
  words.gvisor.run_directory = options->run_directory;
  words.gvisor.scratch_directory = words.docker.scratch_directory = options->state_directory;
  words.gvisor.programs = words.docker.programs = folder_of_ourselves();
  words.docker.group_parent = options->cgroup_parent;
  auto tier =
      is_gvisor ? make_gvisor_tier(words.gvisor, *host) : make_docker_tier(words.docker, *host);
  if (!tier) return refuse(tier.error());
  host->lower = tier->get();
  jail::sweep(*host);
  return jail::run_lower_launcher(std::move(*options), std::move(*host), std::move(control));
}

}  // namespace
}  // namespace airlock::container

int main(int argc, char** argv) { return airlock::container::run(argc, argv); }
