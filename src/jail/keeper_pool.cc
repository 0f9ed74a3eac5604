#include "jail/keeper_pool.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <span>
#include <utility>

#include "jail/channel.h"
#include "jail/keeper.h"
#include "jail/test_hooks.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

constexpr std::size_t kKeepersMax = 4'096;
constexpr std::size_t kAsleepMax = 32;       // about 100 KiB each
constexpr std::uint32_t kSlotsForSpare = 8;  // with fewer, none is held without a request
constexpr std::size_t kRequestBytesMax = 4'096;

// Without a channel it is the wish for a sandbox ahead.
bool receive(int fd, OpenWorkspace* request, UniqueFd* channel) {
  char buffer[kRequestBytesMax];
  Packet packet;
  if (receive_packet(fd, buffer, 0, &packet) != ReceiveStatus::kPacket) return false;
  if (!decode(packet.bytes, request) || packet.fd_count > 1) return false;
  *channel = std::move(packet.fds[0]);
  return true;
}

// One workspace, from the request to the end of all that it needed; false when nobody asks any
// more. The caller's channel, whose end tells that everything is gone.
bool serve_workspace(const LauncherHost& host, NetworkHome* network, int requests,
                     UniqueFd* channel) {
  OpenWorkspace request;
  if (!receive(requests, &request, channel)) return false;
  Keeper keeper(host, network);
  if (!channel->valid()) {
    keeper.begin_ahead({});
    keeper.release_ahead(/*detach_early=*/true);
    if (request.disk_bytes != 0) keeper.settle_ahead(request);
    if (!receive(requests, &request, channel) || !channel->valid()) return false;
  }
  keeper.open(request, std::move(*channel));
  const bool whole = keeper.run() == 0;
  *channel = keeper.take_caller();
  return whole;
}

}  // namespace

KeeperPool::KeeperPool(const LauncherHost& host, std::vector<UniqueFd*> launchers_own)
    : host_(host), launchers_own_(std::move(launchers_own)) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
    news_.reset(pair[0]);
    news_sender_.reset(pair[1]);
  }
  prepare_spare();
}

void KeeperPool::run_keeper(UniqueFd requests) {
  const pid_t own = getpid();
  UniqueFd channel;
  NetworkHome network;
  while (serve_workspace(host_, host_.privileged() && host_.lower == nullptr ? &network : nullptr,
                         requests.get(), &channel)) {
    // Before the caller knows: the next request that it sends finds us asleep.
    if (::send(news_sender_.get(), &own, sizeof own, MSG_NOSIGNAL) != sizeof own) break;
    channel.reset();
  }
  _exit(0);
}

// In a child: an end of a channel that it kept would hide the end of the launcher.
void KeeperPool::leave_launcher() {
  news_.reset();
  for (UniqueFd* const fd : launchers_own_) fd->reset();
  keepers_.clear();
  on_leave_();
  signal(SIGCHLD, SIG_DFL);
}

pid_t KeeperPool::fork_apart() {
  const pid_t pid = fork();
  if (pid == 0) {
    leave_launcher();
    news_sender_.reset();
  }
  return pid;
}

KeeperPool::Link* KeeperPool::fork_keeper(UniqueFd* in_transit) {
  int pair[2];
  if (keepers_.size() >= kKeepersMax ||
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return nullptr;
  }
  UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  const pid_t pid = fork();
  if (pid == 0) {
    ours.reset();
    if (in_transit != nullptr) in_transit->reset();
    leave_launcher();
    run_keeper(std::move(theirs));
  }
  crash_point("crash:keeper_forked");
  if (pid < 0) return nullptr;
  keepers_.push_back({.pid = pid, .socket = std::move(ours), .asleep = true});
  return &keepers_.back();
}

bool KeeperPool::send(Link* link, const OpenWorkspace& request, int channel) {
  const int fds[] = {channel};
  const std::span<const int> passed(fds, channel >= 0 ? 1 : 0);
  if (link == nullptr) return false;
  link->asleep = channel < 0;
  link->has_spare = channel < 0;
  if (send_message(link->socket.get(), request, passed) == 0) return true;
  link->asleep = link->has_spare = false;  // dead, and not reaped yet
  return false;
}

// The one that went to sleep last has most of its memory in the caches.
KeeperPool::Link* KeeperPool::find_asleep(bool with_spare) {
  const auto found = std::ranges::find_if(keepers_.rbegin(), keepers_.rend(), [&](const Link& l) {
    return l.asleep && l.has_spare == with_spare;
  });
  return found == keepers_.rend() ? nullptr : &*found;
}

void KeeperPool::give(const OpenWorkspace& request, UniqueFd channel) {
  Link* link = find_asleep(/*with_spare=*/true);
  if (link == nullptr) link = find_asleep(/*with_spare=*/false);
  if (!send(link, request, channel.get())) send(fork_keeper(&channel), request, channel.get());
  channel.reset();  // or the next keeper that is forked would have it, too
  last_ = request;
  prepare_spare();
}

void KeeperPool::prepare_spare() {
  if (closed_ || host_.ids.slots_max < kSlotsForSpare || find_asleep(true) != nullptr) return;
  Link* const link = find_asleep(false);
  send(link != nullptr ? link : fork_keeper(), last_, -1);
}

void KeeperPool::take_news() {
  pid_t pid = 0;
  while (::recv(news_.get(), &pid, sizeof pid, MSG_DONTWAIT) == sizeof pid) {
    const auto link = std::ranges::find(keepers_, pid, &Link::pid);
    if (link == keepers_.end()) continue;
    link->asleep = true;
    // To the end, where the next search begins.
    std::rotate(link, link + 1, keepers_.end());
  }
  retire_surplus();
}

void KeeperPool::retire_surplus() {
  auto asleep = static_cast<std::size_t>(std::ranges::count(keepers_, true, &Link::asleep));
  for (Link& link : keepers_) {
    if (!link.asleep || !link.socket.valid() || (!closed_ && asleep <= kAsleepMax)) continue;
    link.socket.reset();  // it ends when it sees that
    link.asleep = link.has_spare = false;
    --asleep;
  }
}

void KeeperPool::close() {
  closed_ = true;
  retire_surplus();
}

void KeeperPool::kill_all() {
  for (const Link& link : keepers_) kill(link.pid, SIGKILL);
}

bool KeeperPool::reap(std::vector<pid_t>* ended) {
  bool killed = false;
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    killed |= status != 0;
    ended->push_back(pid);
    std::erase_if(keepers_, [&](const Link& link) { return link.pid == pid; });
  }
  return killed;
}

}  // namespace airlock::jail
