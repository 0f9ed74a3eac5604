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
#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "container/docker.h"
#include "container/docker_image.h"
#include "container/gvisor.h"
#include "container/runtime.h"
#include "jail/hand_down.h"
#include "jail/launcher.h"
#include "jail/launcher_host.h"

namespace airlock::container {
namespace {

constexpr std::chrono::seconds kSweepInterval{60};
constexpr std::chrono::seconds kPullInterval{60};

// Options of our own, taken out of the words; the rest are a launcher's.
struct BrokerWords {
  std::string backend;
  GvisorOptions gvisor;
  DockerOptions docker;
  std::string start_timeout_ms;
  std::string image_pull = "never";  // or "missing", or "always"
  std::vector<char*> rest;
};

BrokerWords take_words(int argc, char** argv) {
  BrokerWords words;
  const std::pair<std::string_view, std::string*> own[] = {
      {"--backend", &words.backend},
      {"--gvisor-program", &words.gvisor.program},
      {"--gvisor-platform", &words.gvisor.platform},
      {"--gvisor-file-access", &words.gvisor.file_access},
      {"--docker-socket", &words.docker.socket},
      {"--docker-image", &words.docker.image},
      {"--image-pull", &words.image_pull},
      {"--start-timeout-ms", &words.start_timeout_ms}};
  for (int i = 0; i < argc; ++i) {
    const auto* const found = std::ranges::find(own, std::string_view(argv[i]),
                                                &std::pair<std::string_view, std::string*>::first);
    if (std::string_view(argv[i]) == "--allow-image" && i + 1 < argc) {
      words.docker.images.emplace_back(argv[++i]);
    } else if (found != std::end(own) && i + 1 < argc) {
      *found->second = argv[++i];
    } else {
      words.rest.push_back(argv[i]);  // a launcher's, or refused as none
    }
  }
  return words;
}

base::Result<jail::Tier> find_tier(std::string_view backend) {
  if (backend == "gvisor") return jail::Tier::kGvisor;
  if (backend == "docker") return jail::Tier::kDocker;
  if (backend == "docker+gvisor") return jail::Tier::kDockerGvisor;
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "--backend is gvisor, docker or docker+gvisor");
}

base::Result<std::chrono::milliseconds> parse_start_timeout(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) {
    return base::fail(base::ErrorCode::kInvalidArgument, "--start-timeout-ms is a number");
  }
  return std::chrono::milliseconds(value);
}

// Slots, groups and workspaces have numbers that begin with 0 for each launcher of a host.
void set_apart(jail::LauncherOptions* options, const std::string& backend) {
  if (options->run_directory.empty()) options->run_directory = jail::default_run_directory();
  options->run_directory += "-" + backend;
  options->cgroup_parent += "-" + backend;
  if (options->state_directory.empty()) options->state_directory = jail::default_state_directory();
  mkdir(options->state_directory.c_str(), 0711);
  options->state_directory += "/" + backend;
  mkdir(options->state_directory.c_str(), 0700);
  options->points.emplace_back(kProgramsFolder);
}

base::Result<std::unique_ptr<ContainerTier>> make_tier(jail::Tier tier, BrokerWords words,
                                                       const jail::LauncherOptions& options,
                                                       const jail::LauncherHost& host) {
  const std::string beside = jail::beside_ourselves("");
  CommonOptions common{.programs = beside.substr(0, beside.size() - 1),
                       .scratch_directory = options.state_directory};
  if (!words.start_timeout_ms.empty()) {
    AIRLOCK_ASSIGN(common.start_timeout, parse_start_timeout(words.start_timeout_ms));
  }
  if (tier == jail::Tier::kGvisor) {
    words.gvisor.run_directory = options.run_directory;
    words.gvisor.common = std::move(common);
    return make_gvisor_tier(words.gvisor, host);
  }
  words.docker.gvisor = tier == jail::Tier::kDockerGvisor;
  words.docker.group_parent = options.cgroup_parent;
  words.docker.common = std::move(common);
  return make_docker_tier(words.docker, host);
}

// Sweeps at once and every minute for as long as we live, in a process of its own: a runtime may
// take long to answer, or hang.
void start_sweeping(const ContainerTier& tier, const jail::SlotPool& slots,
                    base::UniqueFd* control) {
  const pid_t parent = getpid();
  if (fork() != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "airlock-sweep");
  control->reset();
  while (getppid() == parent) {
    tier.sweep(slots);
    std::this_thread::sleep_for(kSweepInterval);
  }
  _exit(0);
}

// In a process of its own: it may take long, and nobody waits for it.
void start_pulling(const BrokerWords& words, base::UniqueFd* control) {
  if (words.image_pull == "never") return;
  const pid_t parent = getpid();
  if (fork() != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "airlock-pull");
  control->reset();
  std::vector<std::string> images = words.docker.images;
  images.push_back(words.docker.image);
  // One that hangs holds up no other.
  std::vector<std::jthread> threads;
  for (const std::string& image : images) {
    threads.emplace_back([&words, image] {
      ImagePuller puller(words.docker.socket, image, words.image_pull == "always");
      while (true) {
        puller.try_it();
        std::this_thread::sleep_for(kPullInterval);
      }
    });
  }
  while (getppid() == parent) std::this_thread::sleep_for(kPullInterval);
  _exit(0);
}

base::Result<int> run(int argc, char** argv) {
  BrokerWords words = take_words(argc, argv);
  int control_fd = -1;
  AIRLOCK_ASSIGN(auto options, jail::parse_launcher_arguments(static_cast<int>(words.rest.size()),
                                                              words.rest.data(), &control_fd));
  constexpr std::string_view kPulls[] = {"never", "missing", "always"};
  if (std::ranges::find(kPulls, words.image_pull) == std::end(kPulls)) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "--image-pull is never, missing or always");
  }
  base::UniqueFd control(control_fd);
  fcntl(control.get(), F_SETFD, FD_CLOEXEC);
  AIRLOCK_ASSIGN(const jail::Tier tier, find_tier(words.backend));
  set_apart(&options, words.backend);
  // Known before dockerd is asked, who may take long or hang.
  if (std::exchange(options.tells_when_settled, false)) {
    send(control.get(), &tier, sizeof tier, MSG_NOSIGNAL);
  }
  AIRLOCK_ASSIGN(auto host, jail::LauncherHost::open(options));
  if (!options.single && tier != jail::Tier::kGvisor) start_pulling(words, &control);
  host.complete(options);
  host.seccomp_listener = false;  // no descriptor of it could be passed out of a container
  AIRLOCK_TRY(jail::check_host_view(&host.view));
  AIRLOCK_ASSIGN(const auto lower, make_tier(tier, std::move(words), options, host));
  host.lower = lower.get();
  jail::sweep(host);
  const jail::SlotPool slots = host.slots;
  if (!options.single) start_sweeping(*lower, slots, &control);
  const int status =
      jail::run_lower_launcher(std::move(options), std::move(host), std::move(control));
  lower->sweep(slots);
  return status;
}

}  // namespace
}  // namespace airlock::container

int main(int argc, char** argv) {
  setsid();
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // what a shim leaves, we reap
  const auto status = airlock::container::run(argc, argv);
  if (status.has_value()) return *status;
  const airlock::base::Error& error = status.error();
  std::fprintf(stderr, "airlock-broker: %s%s%s\n", error.to_string().c_str(),
               error.hint.empty() ? "" : "; ", error.hint.c_str());
  return error.code == airlock::base::ErrorCode::kInvalidArgument ? 2 : 1;
}
