// Theory of operation: the launcher learns what its host offers, removes what dead owners left,
// then hands every kOpenWorkspace, with the channel that came with it, to a keeper (jail/keeper.h)
// of its pool, or one of its own if the workspace has a name (jail/durable_keepers.h). It does
// nothing slow itself and trusts no number that a caller sends.
//
// With `single` it is the keeper. It has a sandbox begun as soon as it knows what a clone needs;
// the rest it learns while that sandbox's init mounts on another core.
#include "jail/launcher.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <vector>

#include "jail/channel.h"
#include "jail/durable_folder.h"
#include "jail/durable_keepers.h"
#include "jail/hand_down.h"
#include "jail/keeper.h"
#include "jail/keeper_pool.h"
#include "jail/launcher_host.h"
#include "jail/test_hooks.h"
#include "jail/wire_durable.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

constexpr std::size_t kRequestBytesMax = 4'096;
constexpr std::uint32_t kTrialInodes = 1'024;
// Since the last keeper of a caller that is gone has ended. Removing a workspace takes less.
constexpr int kKeepersEndMaxMs = 5'000;

bool receive(int control_fd, std::span<char> buffer, Packet* packet) {
  return receive_packet(control_fd, buffer, 0, packet) == ReceiveStatus::kPacket &&
         packet->fd_count == 1;
}

class Launcher {
 public:
  Launcher(const LauncherHost& host, DurableFolder folder, UniqueFd control)
      : host_(host), folder_(std::move(folder)), control_(std::move(control)) {}

  int run() {
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, nullptr);
    children_.reset(signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
    KeeperPool keepers(host_, {&control_, &children_});
    DurableKeepers durable(host_, folder_, keepers);
    while (control_.valid() || !keepers.empty()) {
      pollfd set[] = {{control_.get(), POLLIN, 0},
                      {children_.get(), POLLIN, 0},
                      {keepers.news_fd(), POLLIN, 0}};
      const int count = poll(set, 3, control_.valid() ? -1 : kKeepersEndMaxMs);
      if (count < 0 && errno != EINTR) return 1;
      if (count == 0) keepers.kill_all();
      if (set[1].revents != 0) reap(&keepers, &durable);
      if (set[2].revents != 0) keepers.take_news();
      if (set[0].revents != 0 && !serve(&keepers, &durable)) {
        control_.reset();
        keepers.close();
      }
    }
    return 0;
  }

 private:
  bool serve(KeeperPool* keepers, DurableKeepers* durable) {
    char buffer[kRequestBytesMax];
    Packet packet;
    if (!receive(control_.get(), buffer, &packet)) return false;
    UniqueFd channel = std::move(packet.fds[0]);
    OpenWorkspace workspace;
    AdoptWorkspace adopted;
    DiscardWorkspace discarded;
    ListWorkspaces listed;
    if (decode(packet.bytes, &workspace)) {
      workspace.name.empty() ? keepers->give(workspace, std::move(channel))
                             : durable->open(workspace, std::move(channel));
    } else if (decode(packet.bytes, &adopted)) {
      durable->adopt(adopted, std::move(channel));
    } else if (decode(packet.bytes, &discarded)) {
      durable->discard(discarded, std::move(channel));
    } else if (decode(packet.bytes, &listed)) {
      durable->list(std::move(channel));
    } else {
      return false;
    }
    return true;
  }

  void reap(KeeperPool* keepers, DurableKeepers* durable) {
    signalfd_siginfo ignored;
    while (read(children_.get(), &ignored, sizeof ignored) > 0) {}
    std::vector<pid_t> ended;
    if (keepers->reap(&ended)) sweep(host_);
    durable->note_ended(ended);
  }

  const LauncherHost& host_;
  const DurableFolder folder_;
  UniqueFd control_;
  UniqueFd children_;
};

int refuse(const base::Error& error) {
  std::fprintf(stderr, "airlock-jail: %s%s%s\n", error.to_string().c_str(),
               error.hint.empty() ? "" : "; ", error.hint.c_str());
  return 1;
}

void tell_tier(const LauncherHost& host, const UniqueFd& control) {
  const Tier tier = host.lower != nullptr ? host.lower->tier() : Tier::kFull;
  send(control.get(), &tier, sizeof tier, MSG_NOSIGNAL);
}

// Root without CAP_SYS_ADMIN, as a container has it, may map ids only for a namespace of its own
// user.
StageFailure begin(LauncherHost* host, Keeper* keeper, const BegunSandbox& begun, bool detach) {
  StageFailure failure = keeper->begin_ahead(begun);
  if (failure.stage == Stage::kNone) failure = keeper->release_ahead(detach);
  const bool by_other = failure.stage == Stage::kIdMap && failure.os_errno == EPERM &&
                        host->ids.kind == IdMapKind::kPool && host->own_creators;
  if (!by_other) return failure;
  host->own_creators = false;
  return begin(host, keeper, {}, detach);
}

// Makes a sandbox that nobody asked for, to the end.
void check_tier(LauncherHost& host, const LauncherOptions& options, const UniqueFd& control) {
  OpenWorkspace usual;
  usual.disk_bytes = kTmpfsBytesMax;
  usual.inodes = kTrialInodes;
  Keeper keeper(host);
  StageFailure failure = begin(&host, &keeper, {}, /*detach=*/true);
  if (failure.stage == Stage::kNone) {
    keeper.settle_ahead(usual);
    failure = keeper.await_ahead();
  }
  keeper.drop_ahead();
  if (!is_refused_by_host(failure)) return;
  forget_host_view(host.view);
  hand_down(options, control);
}

int serve_many(const LauncherHost& host, UniqueFd control) {
  auto folder = DurableFolder::open(host.slots.run_directory(), host.state_directory);
  if (!folder.has_value()) return refuse(folder.error());
  return Launcher(host, std::move(*folder), std::move(control)).run();
}

class SingleLauncher {
 public:
  SingleLauncher(const LauncherOptions& options, LauncherHost host, UniqueFd control)
      : options_(options), host_(std::move(host)), control_(std::move(control)), keeper_(host_) {}

  int run() {
    keeper_.end_with_last();
    check_tier(begin(&host_, &keeper_, options_.begun, /*detach=*/false));
    if (host_.lower == nullptr) host_.complete(options_);
    crash_point("crash:host_opened");
    if (options_.expected.disk_bytes != 0) {
      keeper_.settle_ahead(options_.expected);
      // A host that nobody has run anything on is not taken at its word.
      if (host_.view.recalled.empty()) check_tier(keeper_.await_ahead());
    }
    if (options_.tells_when_settled) tell_tier(host_, control_);
    if (!check_view()) return 1;
    // While init mounts, and before there is a guest whose limits have to be watched.
    const bool left = sweep(host_, keeper_.kept());
    char buffer[kRequestBytesMax];
    Packet packet;
    OpenWorkspace request;
    if (!receive(control_.get(), buffer, &packet) || !decode(packet.bytes, &request)) return 0;
    if (!request.name.empty()) return 0;  // we end with our caller
    keeper_.open(request, std::move(packet.fds[0]));
    const int status = keeper_.run();
    if (left) sweep(host_, keeper_.kept());
    return status;
  }

 private:
  void check_tier(const StageFailure& failure) {
    if (host_.lower != nullptr || !is_refused_by_host(failure)) return;
    keeper_.drop_ahead();
    forget_host_view(host_.view);  // or the next launcher would not look again
    hand_down(options_, control_);
  }

  bool check_view() {
    const auto replaced = check_host_view(&host_.view);
    if (!replaced.has_value()) {
      refuse(replaced.error());
      return false;
    }
    if (*replaced) keeper_.renew();
    return true;
  }

  const LauncherOptions& options_;
  LauncherHost host_;
  UniqueFd control_;
  Keeper keeper_;
};

}  // namespace

int run_launcher(LauncherOptions options, UniqueFd control) {
  // The terminal's Ctrl-C is for the caller, who decides what it means.
  setsid();
  signal(SIGPIPE, SIG_IGN);
  auto host = LauncherHost::open(options);
  if (!host.has_value()) {
    // A root that cannot be written is a container's.
    if (host.error().os_errno == EROFS || host.error().os_errno == EACCES) {
      hand_down(options, control);
    }
    return refuse(host.error());
  }
  if (options.single) return SingleLauncher(options, std::move(*host), std::move(control)).run();
  host->complete(options);
  if (auto done = check_host_view(&host->view); !done.has_value()) return refuse(done.error());
  check_tier(*host, options, control);
  if (options.tells_when_settled) tell_tier(*host, control);
  crash_point("crash:host_opened");
  const bool left = sweep(*host);
  const int status = serve_many(*host, std::move(control));
  if (left) sweep(*host);
  return status;
}

int run_lower_launcher(LauncherOptions options, LauncherHost host, UniqueFd control) {
  if (options.single) return SingleLauncher(options, std::move(host), std::move(control)).run();
  if (options.tells_when_settled) tell_tier(host, control);
  return serve_many(host, std::move(control));
}

}  // namespace airlock::jail
