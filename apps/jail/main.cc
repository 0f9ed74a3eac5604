// airlock-jail: the launcher, the only program that ever holds privilege.
//
// Theory of operation: it is started with one end of a SOCK_SEQPACKET pair, learns what its host
// offers, removes what dead owners left, then forks one keeper (jail/keeper.h) for every
// kOpenWorkspace, with the channel that came with it. It does nothing slow itself, trusts no number
// a caller sends, and ends when the control socket closes and the last keeper is gone.
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "jail/channel.h"
#include "jail/keeper.h"
#include "jail/launcher_host.h"
#include "jail/test_hooks.h"
#include "sys/files.h"
#include "sys/seccomp.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

constexpr std::size_t kKeepersMax = 4'096;
constexpr std::size_t kInitBytesMax = 4u << 20;
constexpr std::size_t kOpenWorkspaceBytesMax = 4'096;

struct Options {
  int control_fd = -1;
  std::string init_path;
  std::string run_directory = default_run_directory();
  std::string state_directory;
  std::string cgroup_parent = "airlock";
  bool single = false;  // one workspace, kept by the launcher itself: a fork less
};

std::string default_state_directory() {
  if (geteuid() == 0) return "/var/lib/airlock";
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && state[0] == '/') {
    return std::string(state) + "/airlock";
  }
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::string(home) + "/.local/state/airlock";
  return default_run_directory() + "/state";  // that directory is checked to be ours
}

std::string beside_ourselves(const char* name) {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0) return name;
  const std::string own(path, static_cast<std::size_t>(size));
  return own.substr(0, own.rfind('/') + 1) + name;
}

base::Result<Options> parse_options(int argc, char** argv) {
  Options options;
  const option known[] = {{"control-fd", required_argument, nullptr, 'c'},
                          {"init", required_argument, nullptr, 'i'},
                          {"run-dir", required_argument, nullptr, 'r'},
                          {"state-dir", required_argument, nullptr, 's'},
                          {"cgroup-parent", required_argument, nullptr, 'g'},
                          {"single", no_argument, nullptr, '1'},
                          {nullptr, 0, nullptr, 0}};
  for (int found = 0; (found = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    switch (found) {
      case 'c': options.control_fd = std::atoi(optarg); break;
      case 'i': options.init_path = optarg; break;
      case 'r': options.run_directory = optarg; break;
      case 's': options.state_directory = optarg; break;
      case 'g': options.cgroup_parent = optarg; break;
      case '1': options.single = true; break;
      default: return base::fail(base::ErrorCode::kInvalidArgument, "unknown option");
    }
  }
  if (options.control_fd < 3) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "airlock-jail is started by airlock, with --control-fd",
                      "run: airlock run PROGRAM");
  }
  if (options.cgroup_parent.find('/') != std::string::npos) {
    return base::fail(base::ErrorCode::kInvalidArgument, "--cgroup-parent takes one name");
  }
  if (options.init_path.empty()) options.init_path = beside_ourselves("airlock-init");
  if (options.state_directory.empty()) options.state_directory = default_state_directory();
  return options;
}

// A sealed copy: what runs as pid 1 of every sandbox cannot be changed, by a guest that shares our
// uid least of all.
base::Result<UniqueFd> seal_program(const std::string& path) {
  AIRLOCK_ASSIGN(const UniqueFd file, sys::open_at(AT_FDCWD, path.c_str(), O_RDONLY));
  struct stat status{};
  if (fstat(file.get(), &status) != 0) return base::fail_errno("stat " + path);
  const bool trusted = status.st_uid == 0 || status.st_uid == geteuid();
  if (!trusted || (status.st_mode & (S_IWOTH | S_IWGRP)) != 0) {
    return base::fail(base::ErrorCode::kPermissionDenied, path + " can be changed by others",
                      "chown root and chmod 755 it");
  }
  if (static_cast<std::size_t>(status.st_size) > kInitBytesMax) {
    return base::fail(base::ErrorCode::kLimitExceeded, path + " is too large to be airlock-init");
  }
  std::vector<char> bytes(static_cast<std::size_t>(status.st_size));
  if (read(file.get(), bytes.data(), bytes.size()) != status.st_size) {
    return base::fail_errno("read " + path);
  }
  UniqueFd sealed(memfd_create("airlock-init", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!sealed.valid()) return base::fail_errno("memfd_create");
  if (write(sealed.get(), bytes.data(), bytes.size()) != status.st_size ||
      fcntl(sealed.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
          0) {
    return base::fail_errno("seal " + path);
  }
  // Above the numbers that a sandbox's child reassigns.
  UniqueFd high(fcntl(sealed.get(), F_DUPFD_CLOEXEC, 10));
  if (!high.valid()) return base::fail_errno("dup");
  return high;
}

// Removes what dead owners left. True if something may be left yet, because its owner lives or is
// just about to die.
bool sweep(const LauncherHost& host) {
  struct Claim {
    const SlotPool& slots;
    Slot held;  // until the next one is claimed
  } context{host.slots, {}};
  const auto claim = [](void* opaque, std::uint32_t number) {
    auto* const claimed = static_cast<Claim*>(opaque);
    claimed->held = claimed->slots.try_take(number);
    return claimed->held.valid();
  };
  const bool left = sys::sweep_cgroups(host.cgroups, claim, &context);
  context.held = Slot();  // or its workspace would look like somebody's
  sweep_workspaces(host.state_directory, host.slots);
  return left;
}

base::Result<LauncherHost> open_host(const Options& options) {
  const IdHost ids = open_id_host();
  AIRLOCK_ASSIGN(SlotPool slots, SlotPool::open(options.run_directory, ids.slots_max));
  AIRLOCK_ASSIGN(HostView view, open_host_view(options.run_directory));
  AIRLOCK_ASSIGN(UniqueFd init, seal_program(options.init_path));
  const bool privileged = geteuid() == 0;
  LauncherHost host{.ids = ids,
                    .slots = std::move(slots),
                    .cgroups = sys::open_cgroup_host(options.cgroup_parent, privileged),
                    .view = std::move(view),
                    .init = std::move(init),
                    .state_directory = options.state_directory,
                    .seccomp_listener = sys::probe_seccomp().user_notification,
                    .privileged = privileged};
  return host;
}

class Launcher {
 public:
  Launcher(const LauncherHost& host, UniqueFd control)
      : host_(host), control_(std::move(control)) {}

  // Serves one workspace and ends.
  int run_single() {
    char buffer[kOpenWorkspaceBytesMax];
    Packet packet;
    OpenWorkspace request;
    if (!receive(buffer, &packet, &request)) return 0;
    return run_keeper(request, std::move(packet.fds[0]));
  }

  int run() {
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, nullptr);
    children_.reset(signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
    char buffer[kOpenWorkspaceBytesMax];
    while (control_.valid() || keepers_ > 0) {
      pollfd set[] = {{control_.get(), POLLIN, 0}, {children_.get(), POLLIN, 0}};
      if (poll(set, 2, -1) < 0 && errno != EINTR) return 1;
      if (set[1].revents != 0) reap();
      if (set[0].revents != 0 && !serve(buffer)) control_.reset();
    }
    return 0;
  }

 private:
  bool receive(std::span<char> buffer, Packet* packet, OpenWorkspace* request) {
    return receive_packet(control_.get(), buffer, 0, packet) == ReceiveStatus::kPacket &&
           decode(packet->bytes, request) && packet->fd_count == 1;
  }

  bool serve(std::span<char> buffer) {
    Packet packet;
    OpenWorkspace request;
    if (!receive(buffer, &packet, &request)) return false;
    if (keepers_ >= kKeepersMax) return true;  // the channel closes: the caller sees a refusal
    const pid_t pid = fork();
    if (pid == 0) _exit(run_keeper(request, std::move(packet.fds[0])));
    crash_point("crash:keeper_forked");
    if (pid > 0) ++keepers_;
    return true;
  }

  int run_keeper(const OpenWorkspace& request, UniqueFd channel) {
    control_.reset();
    children_.reset();
    signal(SIGCHLD, SIG_DFL);
    Keeper keeper(host_, request, std::move(channel));
    return keeper.run();
  }

  void reap() {
    signalfd_siginfo ignored;
    while (read(children_.get(), &ignored, sizeof ignored) > 0) {}
    int status = 0;
    bool killed = false;
    while (waitpid(-1, &status, WNOHANG) > 0) {
      --keepers_;
      killed |= status != 0;
    }
    if (killed) sweep(host_);
  }

  const LauncherHost& host_;
  UniqueFd control_;
  UniqueFd children_;
  std::size_t keepers_ = 0;
};

int run(int argc, char** argv) {
  auto options = parse_options(argc, argv);
  if (!options.has_value()) {
    std::fprintf(stderr, "airlock-jail: %s\n", options.error().to_string().c_str());
    return 2;
  }
  UniqueFd control(fcntl(options->control_fd, F_DUPFD_CLOEXEC, 10));
  close(options->control_fd);
  // The terminal's Ctrl-C is for the caller, who decides what it means.
  setsid();
  signal(SIGPIPE, SIG_IGN);
  const auto host = open_host(*options);
  if (!host.has_value()) {
    const base::Error& error = host.error();
    std::fprintf(stderr, "airlock-jail: %s%s%s\n", error.to_string().c_str(),
                 error.hint.empty() ? "" : "; ", error.hint.c_str());
    return 1;
  }
  crash_point("crash:host_opened");
  const bool left = sweep(*host);
  Launcher launcher(*host, std::move(control));
  const int status = options->single ? launcher.run_single() : launcher.run();
  if (left) sweep(*host);
  return status;
}

}  // namespace
}  // namespace airlock::jail

int main(int argc, char** argv) { return airlock::jail::run(argc, argv); }
