#include "apps/airlock/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "apps/airlock/daemon.h"
#include "apps/airlock/privilege.h"
#include "base/child_process.h"
#include "model/limits.h"

namespace airlock::apps {
namespace {

using base::ChildProcess;
using base::UniqueFd;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kRestartMin{100};
constexpr milliseconds kRestartMax{5'000};  // reached by lives that never got ready
constexpr milliseconds kLauncherEndMax{15'000};
// A daemon that is silent for so many of these hangs. Counted one by one: a host that stood still,
// with us and the daemon on it, was silent for one of them.
constexpr milliseconds kSilence{5'000};
constexpr int kSilencesMax = 4;
static_assert(kAliveEvery < kSilence);
constexpr milliseconds kDrainMax{40'000};  // the daemon's own drain is shorter
constexpr int kFirstPassedFd = 3;
constexpr int kOutOfTheWay = 256;

// systemd's protocol (sd_notify(3)); nothing happens where nobody asked to be told.
void notify_service_manager(const char* state) {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t size = std::strlen(path);
  if (size >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  if (::sendto(socket.get(), state, std::strlen(state), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    return;
  }
}

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

// The launcher and the daemon of one life.
struct Generation {
  ChildProcess launcher;
  std::vector<ChildProcess> brokers;
  std::optional<ChildProcess> daemon;
  UniqueFd news;  // of the daemon; closed at its end
  bool was_ready = false;
};

class Supervisor {
 public:
  Supervisor(SupervisorOptions options, const telemetry::Log& log)
      : options_(std::move(options)), log_(log) {}

  int run();

 private:
  enum class End { kStopped, kCrashed, kRefused };
  base::Result<Generation> start();
  base::Result<ChildProcess> start_launcher(const std::vector<std::string>& words,
                                            UniqueFd* daemons);
  base::Result<ChildProcess> start_daemon(int control, int news,
                                          const std::vector<UniqueFd>& brokers);
  bool launchers_end(Generation& generation);
  void take_news(Generation& generation);
  End watch(Generation& generation);
  End judge_end(Generation& generation, bool daemon_died);
  End stop(Generation& generation);
  void wait_or_stop(milliseconds pause);
  bool take_signal(Generation* generation);

  SupervisorOptions options_;
  const telemetry::Log& log_;
  UniqueFd signals_;
  bool stopping_ = false;
  bool ever_ready_ = false;
};

base::Result<ChildProcess> Supervisor::start_daemon(int control, int news,
                                                    const std::vector<UniqueFd>& brokers) {
  base::ChildProcessOptions daemon;
  daemon.arguments = options_.daemon_words;
  daemon.passed_fds = {{0, 0}, {1, 1}, {2, 2}};
  std::string names;
  int number = kFirstPassedFd;
  // Out of the way of the numbers that the child is to have.
  std::vector<UniqueFd> moved;
  const auto pass = [&](int fd) {
    moved.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, kOutOfTheWay));
    daemon.passed_fds.push_back({moved.back().get(), number});
    names += (names.empty() ? "" : ",") + std::to_string(number++);
  };
  pass(control);
  pass(news);
  pass(options_.config.get());
  pass(options_.devices.get());
  for (const UniqueFd& broker : brokers) pass(broker.get());
  for (const UniqueFd& listener : options_.listeners) pass(listener.get());
  daemon.environment.emplace();
  for (char** entry = environ; *entry != nullptr; ++entry) daemon.environment->push_back(*entry);
  daemon.environment->push_back(std::string(kDaemonFdsVariable) + "=" + names);
  daemon.own_process_group = true;
  return ChildProcess::start(daemon);
}

// `daemons` is the end of the socket that is the daemon's.
base::Result<ChildProcess> Supervisor::start_launcher(const std::vector<std::string>& words,
                                                      UniqueFd* daemons) {
  int control[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0) {
    return base::fail_errno("socketpair");
  }
  daemons->reset(control[0]);
  const UniqueFd low(control[1]);
  const UniqueFd theirs(::fcntl(low.get(), F_DUPFD_CLOEXEC, kOutOfTheWay));
  base::ChildProcessOptions launcher;
  launcher.arguments = words;
  const UniqueFd devices(::fcntl(options_.devices.get(), F_DUPFD_CLOEXEC, kOutOfTheWay));
  launcher.passed_fds = {
      {1, 1}, {2, 2}, {theirs.get(), kFirstPassedFd}, {devices.get(), kFirstPassedFd + 1}};
  launcher.own_process_group = true;
  launcher.arguments.insert(launcher.arguments.end(),
                            {"--control-fd", std::to_string(kFirstPassedFd), "--devices-fd",
                             std::to_string(kFirstPassedFd + 1)});
  return ChildProcess::start(launcher);
}

base::Result<Generation> Supervisor::start() {
  int news[2];
  if (::pipe2(news, O_CLOEXEC | O_NONBLOCK) != 0) return base::fail_errno("pipe");
  UniqueFd news_here(news[0]);
  const UniqueFd news_there(news[1]);
  UniqueFd control;
  AIRLOCK_ASSIGN(ChildProcess jail, start_launcher(options_.launcher_words, &control));
  Generation generation{std::move(jail), {}, {}, std::move(news_here)};
  std::vector<UniqueFd> brokers;
  for (const std::vector<std::string>& words : options_.broker_words) {
    AIRLOCK_ASSIGN(ChildProcess broker, start_launcher(words, &brokers.emplace_back()));
    generation.brokers.push_back(std::move(broker));
  }
  AIRLOCK_ASSIGN(generation.daemon, start_daemon(control.get(), news_there.get(), brokers));
  return generation;
}

// Whether we are to end.
bool Supervisor::take_signal(Generation* generation) {
  bool asked = false;
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGHUP) {
      asked = true;
    } else if (generation != nullptr) {
      generation->daemon->send_signal(SIGHUP);
    }
  }
  stopping_ |= asked;
  return asked;
}

void Supervisor::take_news(Generation& generation) {
  std::array<char, 64> news;
  const ssize_t count = ::read(generation.news.get(), news.data(), news.size());
  if (count == 0) generation.news.reset();
  if (count <= 0 || std::memchr(news.data(), kNewsReady, count) == nullptr) return;
  generation.was_ready = ever_ready_ = true;
  notify_service_manager("READY=1");
}

Supervisor::End Supervisor::watch(Generation& generation) {
  int silences = 0;
  for (;;) {
    std::vector<pollfd> set = {{signals_.get(), POLLIN, 0},
                               {generation.launcher.pidfd(), POLLIN, 0},
                               {generation.daemon->pidfd(), POLLIN, 0},
                               {generation.news.get(), POLLIN, 0}};
    for (const ChildProcess& broker : generation.brokers)
      set.push_back({broker.pidfd(), POLLIN, 0});
    const int count = ::poll(set.data(), set.size(), static_cast<int>(kSilence.count()));
    if (count < 0) continue;
    silences = count == 0 ? silences + 1 : 0;
    if (silences == kSilencesMax) {
      log_.error("serve.died", {{"process", "daemon"}, {"end", "it hung, and was killed"}});
      return End::kCrashed;
    }
    if (set[0].revents != 0 && take_signal(&generation)) return stop(generation);
    if (set[3].revents != 0) take_news(generation);
    const bool broker_died =
        std::any_of(set.begin() + 4, set.end(), [](const pollfd& one) { return one.revents != 0; });
    if (broker_died && set[1].revents == 0 && set[2].revents == 0) {
      log_.error("serve.died", {{"process", "broker"}, {"end", "it ended by itself"}});
      return ever_ready_ ? End::kCrashed : End::kRefused;
    }
    if (set[1].revents == 0 && set[2].revents == 0) continue;
    return judge_end(generation, set[2].revents != 0);
  }
}

// One of the two has ended by itself.
Supervisor::End Supervisor::judge_end(Generation& generation, bool daemon_died) {
  int status = daemon_died ? generation.daemon->wait().value_or(0) : 0;
  if (daemon_died && WIFEXITED(status) && WEXITSTATUS(status) == kExitSandboxesHang) {
    log_.error("serve.died", {{"process", "launcher"}, {"end", "it hung, and is ended"}});
    return End::kCrashed;
  }
  if (!daemon_died || (WIFEXITED(status) && WEXITSTATUS(status) == kExitLauncherGone)) {
    daemon_died = false;
    const auto ended = generation.launcher.wait_for(kLauncherEndMax);
    status = ended.value_or(std::nullopt).value_or(0);
  }
  // What never got ready has said why; again it would say the same.
  if (!ever_ready_ && WIFEXITED(status) && WEXITSTATUS(status) != 0) return End::kRefused;
  log_.error("serve.died",
             {{"process", daemon_died ? "daemon" : "launcher"}, {"end", describe_end(status)}});
  return End::kCrashed;
}

Supervisor::End Supervisor::stop(Generation& generation) {
  notify_service_manager("STOPPING=1");
  generation.daemon->send_signal(SIGTERM);
  const auto deadline = Clock::now() + kDrainMax;
  for (;;) {
    pollfd set[] = {{signals_.get(), POLLIN, 0}, {generation.daemon->pidfd(), POLLIN, 0}};
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) break;
    ::poll(set, 2, static_cast<int>(left));
    if (set[1].revents != 0) break;
    // Asked twice: at once.
    if (set[0].revents != 0 && take_signal(&generation)) generation.daemon->send_signal(SIGKILL);
  }
  return End::kStopped;
}

bool Supervisor::launchers_end(Generation& generation) {
  bool ended = generation.launcher.wait_for(kLauncherEndMax).value_or(std::nullopt).has_value();
  for (ChildProcess& broker : generation.brokers) {
    ended &= broker.wait_for(kLauncherEndMax).value_or(std::nullopt).has_value();
  }
  return ended;
}

void Supervisor::wait_or_stop(milliseconds pause) {
  pollfd set = {signals_.get(), POLLIN, 0};
  if (::poll(&set, 1, static_cast<int>(pause.count())) > 0) take_signal(nullptr);
}

// A sandbox's limit of open files can be no higher than the one that its makers have.
void raise_open_files_max() {
  rlimit limit{};
  // Why safe: one struct of ours for the kernel to fill in and to read.
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max >= model::kOpenFilesMax) return;
  limit.rlim_max = model::kOpenFilesMax;
  // Fails for an ordinary user; a run that wants more is told so.
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return;
}

int Supervisor::run() {
  sigset_t mask;
  ::sigemptyset(&mask);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&mask, number);
  ::sigprocmask(SIG_BLOCK, &mask, nullptr);
  raise_open_files_max();
  signals_.reset(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  milliseconds pause = kRestartMin;
  while (!stopping_) {
    auto generation = start();
    if (!generation) {
      log_.error("serve.start_failed", {{"reason", generation.error().to_string()}});
      return 1;
    }
    const End end = watch(*generation);
    // The daemon's end closes the launcher's socket, and that ends the launcher and what it made.
    generation->daemon.reset();
    if (!launchers_end(*generation)) log_.error("serve.launcher_hangs");
    if (end == End::kStopped) return 0;
    if (end == End::kRefused) return 1;
    if (generation->was_ready) pause = kRestartMin;
    wait_or_stop(pause);
    pause = std::min(pause * 2, kRestartMax);
  }
  return 0;
}

}  // namespace

int supervise(SupervisorOptions options, const telemetry::Log& log) {
  hide_from_own_user();
  return Supervisor(std::move(options), log).run();
}

}  // namespace airlock::apps
