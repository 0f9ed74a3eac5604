#include "jail/durable_keepers.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include "jail/channel.h"
#include "jail/keeper.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

void answer(const UniqueFd& channel, int error) {
  send_message(channel.get(), WorkspaceAnswer{.os_errno = error}, {}, MSG_DONTWAIT);
}

bool has_hung_up(const UniqueFd& channel) {
  pollfd set = {channel.get(), POLLRDHUP, 0};
  return poll(&set, 1, 0) == 1;
}

// Whoever waits for the end of what the launcher was told to write to does not wait for a job.
void leave_session() {
  setsid();
  if (chdir("/") != 0) _exit(1);
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (null.get() == fd || dup2(null.get(), fd) != fd) _exit(1);
  }
  // A log file may be larger than a limit that somebody set for us.
  signal(SIGXFSZ, SIG_IGN);
}

constexpr std::size_t kClearingMax = 8;  // at once
constexpr std::size_t kWaitingMax = kDurableMax;
constexpr int kSweepAttempts = 5;
constexpr useconds_t kSweepPauseUs = 50'000;

}  // namespace

DurableKeepers::DurableKeepers(const LauncherHost& host, const DurableFolder& folder,
                               KeeperPool& children)
    : host_(host), folder_(folder), children_(children) {
  children_.on_leave([this] { waiting_.clear(); });
}

void DurableKeepers::run_keeper(const OpenWorkspace& request, std::string name, UniqueFd channel,
                                UniqueFd started) {
  leave_session();
  // Never by the launcher: whoever connects is told who it was that listened, and may kill it.
  UniqueFd listener;
  if (const int error = folder_.listen_as(name, &listener); error != 0) {
    answer(channel, error);
    _exit(0);
  }
  started.reset();
  int status = 0;
  {
    Keeper keeper(host_);
    keeper.be_durable(folder_, std::move(name), std::move(listener));
    keeper.open(request, std::move(channel));
    status = keeper.run();
    channel = keeper.take_caller();
  }
  _exit(status);
}

void DurableKeepers::open(OpenWorkspace request, UniqueFd channel) {
  if (!is_durable_name(request.name)) return answer(channel, EINVAL);
  if (folder_.list().alive.size() >= kDurableMax) return answer(channel, EDQUOT);
  std::string name(request.name);
  request.name = {};
  request.reusable = true;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return answer(channel, errno);
  UniqueFd started(ends[0]);
  UniqueFd starts(ends[1]);
  const pid_t pid = children_.fork_apart();
  if (pid == 0) {
    started.reset();
    run_keeper(request, std::move(name), std::move(channel), std::move(starts));
  }
  if (pid < 0) return answer(channel, EAGAIN);
  starts.reset();
  char none;
  // Its first steps, after which the next request finds it.
  while (read(started.get(), &none, 1) < 0 && errno == EINTR) {}
}

int DurableKeepers::pass_on(const AdoptWorkspace& request, int channel) const {
  if (!is_durable_name(request.name)) return EINVAL;
  UniqueFd keeper;
  if (const int error = folder_.connect_to(request.name, &keeper); error != 0) return error;
  const int fds[] = {channel};
  const int error = send_message(keeper.get(), request, fds, MSG_DONTWAIT);
  return error == EPIPE || error == ECONNRESET ? ECONNREFUSED : error;
}

void DurableKeepers::adopt(const AdoptWorkspace& request, UniqueFd channel) {
  const int error = pass_on(request, channel.get());
  if (error == ECONNREFUSED) return clear(request.name, std::move(channel), Found::kDead);
  if (error != 0) answer(channel, error);
}

void DurableKeepers::discard(const DiscardWorkspace& request, UniqueFd channel) {
  if (!is_durable_name(request.name)) return answer(channel, EINVAL);
  UniqueFd keeper;
  const int error = folder_.connect_to(request.name, &keeper);
  keeper.reset();
  if (error == ENOENT) return answer(channel, ENOENT);
  clear(request.name, std::move(channel), error == ECONNREFUSED ? Found::kDead : Found::kAlive);
}

void DurableKeepers::clear(std::string_view name, UniqueFd channel, Found found) {
  if (clearing_.size() < kClearingMax) return start_clearing(name, channel, found);
  // Who waits for no answer is a list that found a dead one, and so will the next.
  if (!channel.valid()) return;
  if (waiting_.size() >= kWaitingMax) return answer(channel, EAGAIN);
  waiting_.push_back({std::string(name), std::move(channel), found});
}

void DurableKeepers::start_clearing(std::string_view name, const UniqueFd& channel, Found found) {
  const pid_t pid = children_.fork_apart();
  if (pid < 0) return answer(channel, EAGAIN);
  if (pid > 0) return clearing_.push_back(pid);
  leave_session();
  const int stopped = found == Found::kAlive ? folder_.stop_keeper(name) : ECONNREFUSED;
  folder_.remove_dead(name);
  if (stopped != 0) sweep_up();
  const bool ended = stopped == 0 || stopped == EOWNERDEAD;
  answer(channel, ended ? 0 : stopped == ECONNREFUSED ? ENOENT : stopped);
  _exit(0);
}

// Another sweep that is under way holds what it looks at; whoever lives holds it for longer.
void DurableKeepers::sweep_up() const {
  for (int i = 0; i < kSweepAttempts && sweep(host_); ++i) usleep(kSweepPauseUs);
}

void DurableKeepers::note_ended(std::span<const pid_t> children) {
  for (const pid_t pid : children) std::erase(clearing_, pid);
  while (!waiting_.empty() && clearing_.size() < kClearingMax) {
    const Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    // Whoever has given up may have let the name go to somebody else.
    if (!has_hung_up(next.channel)) start_clearing(next.name, next.channel, next.found);
  }
}

void DurableKeepers::list(UniqueFd channel) {
  const DurableFolder::Names names = folder_.list();
  for (const std::string& name : names.dead) clear(name, UniqueFd(), Found::kDead);
  std::string words;
  for (const std::string& name : names.alive) words += name + '\0';
  const WorkspaceNames alive{
      {words.data(), words.size(), static_cast<std::uint32_t>(names.alive.size())}};
  send_message(channel.get(), alive, {}, MSG_DONTWAIT);
}

}  // namespace airlock::jail
