#include "apps/airlock/daemon.h"

#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "apps/airlock/daemon_backends.h"
#include "apps/airlock/daemon_jobs.h"
#include "apps/airlock/listen_address.h"
#include "apps/airlock/metrics_port.h"
#include "apps/airlock/privilege.h"
#include "apps/airlock/service_metrics.h"
#include "backend/mode.h"
#include "backend/native/native_backend.h"
#include "backend/parked_backend.h"
#include "base/clock.h"
#include "egress/gateway.h"
#include "http/server/server.h"
#include "http/service.h"
#include "language/language_table.h"
#include "model/limits.h"
#include "runner/run_service.h"

namespace airlock::apps {
namespace {

namespace asio = boost::asio;
using base::UniqueFd;

// Below the ids of sandboxes (jail::kPoolFirst) and above those that anybody uses.
constexpr uid_t kDaemonId = 0x77ff'0000;
constexpr std::chrono::milliseconds kDrainMax{30'000};
constexpr std::chrono::milliseconds kDrainStep{20};
constexpr std::chrono::milliseconds kCheckAgainAfter{250};
// Looked at as often as the supervisor is told that we live: half a minute, of which a host that
// stood still is one look.
constexpr int kLooksAtHangingMax = 15;
constexpr int kStepsOfContainer = 6;
constexpr std::size_t kDescriptorsLeast = 1'024;
constexpr int kLargeBytes = 1 << 20;
constexpr std::size_t kGatewayConnectionsMax = 65'536;

base::Result<std::pair<uid_t, gid_t>> find_ids(const std::string& user) {
  if (user.empty()) return std::pair<uid_t, gid_t>(kDaemonId, kDaemonId);
  const passwd* const entry = ::getpwnam(user.c_str());
  if (entry == nullptr) {
    return base::fail(base::ErrorCode::kNotFound, "--user: there is no user \"" + user + "\"",
                      "leave it out: the service then has a user of its own");
  }
  return std::pair<uid_t, gid_t>(entry->pw_uid, entry->pw_gid);
}

base::Status become_user(const ServeOptions& options) {
  const bool is_root = ::geteuid() == 0;
  AIRLOCK_ASSIGN(const auto ids, find_ids(options.user));
  const auto [uid, gid] = ids;
  if (options.takes_jobs) {
    auto prepared = prepare_state(options, uid, gid);
    if (!prepared && options.jobs_wanted) return prepared;
  }
  if (!is_root) return {};
  if (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0 ||
      ::setresuid(uid, uid, uid) != 0) {
    return base::fail_errno("become the user of the service");
  }
  return {};
}

// The kernel ends us with the supervisor, which may have ended before we asked for that.
bool follow_supervisor(int news_fd) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd reader = {news_fd, POLLOUT, 0};
  return ::poll(&reader, 1, 0) >= 0 && (reader.revents & POLLERR) == 0;
}

// How many descriptors we may have.
std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kDescriptorsLeast;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : before;
}

// Of this machine.
std::size_t memory_bytes() {
  return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

class Daemon {
 public:
  Daemon(DaemonFds fds, const ServeOptions& options, const telemetry::Log& log)
      : fds_(std::move(fds)),
        options_(options),
        log_(log),
        metrics_({"/", options.state_directory}, clock_),
        signals_(context_),
        step_(context_),
        alive_(context_) {}

  base::Status run();
  int exit_code() const { return exit_code_; }

 private:
  base::Status start();
  base::Status open_backend(std::size_t descriptors);
  base::Status open_service(std::size_t descriptors);
  base::Status open_jobs();
  base::Status listen(std::size_t descriptors);
  void watch_launcher();
  void watch_signals();
  void tell(char news);
  void say_alive();
  bool sandboxes_hang();
  void check_itself();
  void check_again();
  void become_ready();
  void finish_check(const base::Result<model::RunResult>& result);
  void drain();
  void end_when_drained(std::chrono::steady_clock::time_point deadline);

  DaemonFds fds_;
  UniqueFd metrics_listener_;
  const ServeOptions& options_;
  const telemetry::Log& log_;
  const base::SystemClock clock_;
  ServiceMetrics metrics_;  // outlives whatever counts
  asio::io_context context_{1};
  asio::signal_set signals_;
  asio::steady_timer step_;
  asio::steady_timer alive_;
  std::unique_ptr<asio::posix::stream_descriptor> launcher_;
  DaemonBackends backends_;
  std::unique_ptr<egress::Gateway> gateway_;
  std::unique_ptr<runner::RunService> runs_;
  std::unique_ptr<http::RunCatalog> catalog_;
  std::unique_ptr<http::Service> service_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<MetricsPort> metrics_port_;
  std::unique_ptr<DaemonJobs> jobs_;
  int exit_code_ = 0;
  bool draining_ = false;
  std::uint64_t steps_seen_ = 0;
  int looks_at_hanging_ = 0;
};

base::Status Daemon::start() {
  // Half for the files of requests, a quarter for connections, an eighth for those of programs
  // that have a gateway, two descriptors each, the rest for runs.
  const std::size_t descriptors = raise_descriptor_limit();
  if (options_.metrics.port) {
    metrics_listener_ = std::move(fds_.listeners.back());
    fds_.listeners.pop_back();
  }
  AIRLOCK_TRY(open_backend(descriptors));
  AIRLOCK_ASSIGN(auto table, language::LanguageTable::builtin());
  catalog_ = std::make_unique<http::RunCatalog>(std::move(table));
  AIRLOCK_TRY(open_service(descriptors));
  AIRLOCK_TRY(open_jobs());
  return listen(descriptors);
}

base::Status Daemon::open_backend(std::size_t descriptors) {
  const int watched = ::fcntl(fds_.control.get(), F_DUPFD_CLOEXEC, 0);
  launcher_ = std::make_unique<asio::posix::stream_descriptor>(context_, watched);
  AIRLOCK_ASSIGN(const std::string devices, read_whole(fds_.devices.get()));
  AIRLOCK_ASSIGN(auto native, backend::native::connect_backend(std::move(fds_.control), devices));
  gateway_ = std::make_unique<egress::Gateway>(
      egress::GatewayOptions{.dns_servers = options_.dns_servers,
                             .connections_max = static_cast<std::uint32_t>(std::clamp(
                                 descriptors / 16, std::size_t{16}, kGatewayConnectionsMax))},
      clock_);
  const runner::RunServiceOptions runs{.slots = options_.slots,
                                       .waiting_max = options_.waiting_max,
                                       .wait_max = options_.wait_max,
                                       .gateway = gateway_.get()};
  // What a run has that asks for nothing.
  const model::Limits& usual = options_.limits.defaults;
  const model::Limits& most = options_.limits.limits_max;
  backend::ParkedOptions parked;
  parked.workspace.disk = std::min(usual.disk, most.disk);
  parked.workspace.inodes = std::min(usual.inodes, most.inodes);
  parked.parked_max = options_.parked_max.value_or(runner::count_slots(options_.slots));
  parked.parked_min = std::min(parked.parked_min, parked.parked_max);
  AIRLOCK_ASSIGN(backends_, choose_backends(std::move(native), std::move(fds_.brokers), parked,
                                            options_.execution, devices, clock_, log_));
  runs_ = std::make_unique<runner::RunService>(*backends_.used, runs, clock_);
  metrics_.watch(*runs_, *backends_.parked, *gateway_);
  return {};
}

base::Status Daemon::open_service(std::size_t descriptors) {
  http::SwissbrainLimits swissbrain = options_.swissbrain;
  // Nobody below us can have more of them than we.
  std::optional<std::uint32_t>& open_files = swissbrain.maxima.open_files;
  open_files = static_cast<std::uint32_t>(
      std::min<std::size_t>(open_files.value_or(model::kOpenFilesMax), descriptors));
  http::ServiceOptions service{
      .access = {.key = options_.api_key, .hosts = {}, .origins = options_.origins},
      .limits = options_.limits,
      .amon = options_.amon,
      .swissbrain = std::move(swissbrain),
      .version = AIRLOCK_VERSION,
      .files_held_max = descriptors / 2,
      .metrics_need_key = options_.metrics.need_key};
  service.access.hosts = http::loopback_hosts();
  for (const UniqueFd& listener : fds_.listeners) {
    AIRLOCK_ASSIGN(const std::string url, listener_url(listener.get()));
    AIRLOCK_ASSIGN(const ListenAddress address, parse_listen_address(url));
    const bool is_v6 = address.host.find(':') != std::string::npos;
    service.access.hosts.push_back(is_v6 ? "[" + address.host + "]" : address.host);
  }
  service_ = std::make_unique<http::Service>(*runs_, *catalog_, log_, metrics_.metrics(),
                                             std::move(service));
  service_->serve_metrics([this] { return metrics_.page(); });
  return {};
}

// Where jobs cannot be had, programs can be run all the same.
base::Status Daemon::open_jobs() {
  if (!options_.takes_jobs) return {};
  auto jobs = DaemonJobs::open(options_, *backends_.of_jobs, *gateway_, *catalog_, clock_, log_,
                               metrics_.job_observer());
  if (jobs) {
    jobs_ = std::move(*jobs);
    service_->serve_jobs(jobs_->api());
    metrics_.watch(*jobs_);
    return {};
  }
  if (options_.jobs_wanted) return base::fail(std::move(jobs).error());
  log_.warning("serve.no_jobs",
               {{"reason", jobs.error().to_string()}, {"hint", jobs.error().hint}});
  return {};
}

base::Status Daemon::listen(std::size_t descriptors) {
  http::ServerLimits limits = options_.server;
  limits.connections_max = std::min(limits.connections_max, descriptors / 4);
  limits.request_bytes_max = std::min(limits.request_bytes_max, memory_bytes() / 8);
  limits.answer_bytes_max = std::min(limits.answer_bytes_max, memory_bytes() / 8);
  server_ = std::make_unique<http::Server>(context_, *service_, limits);
  boost::json::array urls;
  for (UniqueFd& listener : fds_.listeners) {
    AIRLOCK_ASSIGN(const std::string url, listener_url(listener.get()));
    urls.emplace_back(url);
    AIRLOCK_TRY(server_->listen(std::move(listener)));
  }
  boost::json::value metrics;
  if (metrics_listener_.valid()) {
    metrics_port_ =
        std::make_unique<MetricsPort>(context_, options_, [this] { return metrics_.page(); }, log_);
    AIRLOCK_ASSIGN(metrics, metrics_port_->listen(std::move(metrics_listener_)));
  }
  log_.info("serve.start", {{"version", AIRLOCK_VERSION},
                            {"listen", std::move(urls)},
                            {"key", !options_.api_key.empty()},
                            {"slots", runs_->stats().slots},
                            {"mode", options_.execution.mode},
                            {"jobs", jobs_ != nullptr},
                            {"metrics", std::move(metrics)},
                            {"uid", ::geteuid()}});
  return {};
}

// It says nothing: the socket becomes readable when it has ended.
void Daemon::watch_launcher() {
  launcher_->async_wait(asio::posix::stream_descriptor::wait_read,
                        [this](boost::system::error_code error) {
                          if (error) return;
                          log_.error("serve.launcher_gone");
                          exit_code_ = kExitLauncherGone;
                          context_.stop();
                        });
}

void Daemon::watch_signals() {
  signals_.async_wait([this](boost::system::error_code error, int number) {
    if (error) return;
    if (number == SIGTERM) return drain();
    catalog_->refresh();
    log_.info("serve.refresh");
    watch_signals();
  });
}

// A supervisor that does not read is told nothing; the pipe does not block.
void Daemon::tell(char news) { (void)!::write(fds_.news.get(), &news, 1); }

// Whether the making and removing of sandboxes has stood still for too long.
bool Daemon::sandboxes_hang() {
  const backend::ParkedStats stats = backends_.parked->stats();
  const bool still = stats.at_work && stats.steps == steps_seen_;
  steps_seen_ = stats.steps;
  looks_at_hanging_ = still ? looks_at_hanging_ + 1 : 0;
  // A container may take that long for each of a few steps, and that is not yet a hang.
  const bool has_containers = options_.execution.chain().front() != backend::kDirect;
  const auto slow = has_containers ? kStepsOfContainer * options_.execution.start_timeout
                                   : std::chrono::milliseconds(0);
  return looks_at_hanging_ > kLooksAtHangingMax + static_cast<int>(slow / kAliveEvery);
}

void Daemon::say_alive() {
  if (sandboxes_hang()) {
    log_.error("serve.sandboxes_hang");
    // Whoever waits for a sandbox waits for good: nothing here can be ended in an orderly way.
    ::_exit(kExitSandboxesHang);
  }
  tell(kNewsAlive);
  alive_.expires_after(kAliveEvery);
  alive_.async_wait([this](boost::system::error_code error) {
    if (!error) say_alive();
  });
}

// Ready is who has run something. Clients who came first may have every slot and the whole queue:
// a run of theirs that exits is as good, and until then the check asks again.
void Daemon::check_itself() {
  runner::Submission submission;
  submission.request.spec.run.argv = {"/usr/bin/true"};
  submission.done = [this](base::Result<model::RunResult> result) {
    asio::post(context_, [this, result = std::move(result)] { finish_check(result); });
  };
  if (!runs_->submit(std::move(submission))) check_again();
}

void Daemon::check_again() {
  if (draining_) return;
  step_.expires_after(kCheckAgainAfter);
  step_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    const auto exited = static_cast<std::size_t>(model::OutcomeKind::kExited);
    if (runs_->stats().outcomes[exited] > 0) return become_ready();
    check_itself();
  });
}

void Daemon::finish_check(const base::Result<model::RunResult>& result) {
  if (draining_) return;
  if (!result && result.error().code == base::ErrorCode::kBusy) return check_again();
  // An image need not have that program: it is enough that a sandbox was there for it.
  const bool of_image = result && backend::has_images(result->isolation.backend);
  const bool ran =
      result &&
      ((of_image && result->outcome.has_no_program) ||
       (result->outcome.kind == model::OutcomeKind::kExited && result->outcome.exit_code == 0));
  if (!ran) {
    const std::string reason = result ? result->outcome.detail : result.error().to_string();
    log_.error("serve.cannot_run", {{"reason", reason}, {"hint", "see: airlock doctor"}});
    exit_code_ = 1;
    return context_.stop();
  }
  become_ready();
}

void Daemon::become_ready() {
  service_->set_ready(true);
  log_.info("serve.ready");
  tell(kNewsReady);
}

void Daemon::drain() {
  draining_ = true;
  log_.info("serve.drain", {{"running", runs_->stats().running}});
  service_->set_ready(false);
  service_->drain();
  server_->drain();
  if (metrics_port_ != nullptr) metrics_port_->drain();
  end_when_drained(std::chrono::steady_clock::now() + kDrainMax);
}

void Daemon::end_when_drained(std::chrono::steady_clock::time_point deadline) {
  if (server_->idle() || std::chrono::steady_clock::now() > deadline) return context_.stop();
  step_.expires_after(kDrainStep);
  step_.async_wait([this, deadline](boost::system::error_code error) {
    if (!error) end_when_drained(deadline);
  });
}

base::Status Daemon::run() {
  AIRLOCK_TRY(start());
  watch_launcher();
  say_alive();
  signals_.add(SIGTERM);
  signals_.add(SIGHUP);
  watch_signals();
  // Whoever asks for a language first would wait for all that is done once to find it, and with
  // them everybody else.
  const std::jthread scout([this] {
    (void)catalog_->languages_json();
    asio::post(context_, [this] { check_itself(); });
  });
  context_.run();
  // Runs first: what they tell when they end is posted to a context that still exists.
  metrics_.close();
  if (jobs_ != nullptr) jobs_->stop();
  runs_.reset();
  server_.reset();
  metrics_port_.reset();
  jobs_.reset();
  backends_ = {};
  log_.info("serve.end", {{"code", exit_code_}});
  return {};
}

}  // namespace

base::Result<DaemonFds> take_daemon_fds(const char* names) {
  DaemonFds fds;
  std::vector<UniqueFd> numbers;
  const char* at = names;
  while (*at != '\0') {
    int fd = -1;
    const auto parsed = std::from_chars(at, at + std::string_view(at).size(), fd);
    if (parsed.ec != std::errc() || fd < 3 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      return base::fail(base::ErrorCode::kInvalidArgument,
                        "AIRLOCK_DAEMON_FDS is for the supervisor only");
    }
    numbers.emplace_back(fd);
    at = *parsed.ptr == ',' ? parsed.ptr + 1 : parsed.ptr;
  }
  if (numbers.size() < 5) {
    return base::fail(base::ErrorCode::kInvalidArgument, "AIRLOCK_DAEMON_FDS names too few");
  }
  fds.control = std::move(numbers[0]);
  fds.news = std::move(numbers[1]);
  fds.config = std::move(numbers[2]);
  fds.devices = std::move(numbers[3]);
  std::move(numbers.begin() + 4, numbers.end(), std::back_inserter(fds.listeners));
  return fds;
}

base::Result<std::string> read_whole(int memfd) {
  std::string text;
  std::array<char, 4096> piece;
  for (;;) {
    // Why safe: at most piece.size() bytes are written to it.
    const ssize_t count =
        ::pread(memfd, piece.data(), piece.size(), static_cast<off_t>(text.size()));
    if (count < 0) return base::fail_errno("read what the supervisor passed");
    if (count == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
}

void take_brokers(DaemonFds& fds, const ServeOptions& options) {
  for (const std::string& name : options.execution.chain()) {
    if (name == backend::kDirect || fds.listeners.empty()) continue;
    fds.brokers.push_back(std::move(fds.listeners.front()));
    fds.listeners.erase(fds.listeners.begin());
  }
}

int run_daemon(DaemonFds fds, const ServeOptions& options, const telemetry::Log& log) {
  const auto become = become_user(options);
  const auto dropped = become ? drop_capabilities() : become;
  if (!dropped) {
    log.error("serve.start_failed", {{"reason", dropped.error().to_string()}});
    return 1;
  }
  hide_from_own_user();
  if (!follow_supervisor(fds.news.get())) return 1;
  ::signal(SIGPIPE, SIG_IGN);
  // What is large is given back at once, instead of leaving holes: the size from which on this is
  // so would grow otherwise (mallopt(3)).
  ::mallopt(M_MMAP_THRESHOLD, kLargeBytes);
  Daemon daemon(std::move(fds), options, log);
  if (const auto done = daemon.run(); !done) {
    log.error("serve.start_failed",
              {{"reason", done.error().to_string()}, {"hint", done.error().hint}});
    return 1;
  }
  return daemon.exit_code();
}

}  // namespace airlock::apps
