#include "base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"

// glibc 2.36 leaves out the C linkage of this header.
extern "C" {
#include <sys/pidfd.h>
}

namespace airlock::base {
namespace {

constexpr int kStandardFds = 3;
constexpr int kOutOfTheWay = 512;

// posix_spawn's two objects, which have to be destroyed whatever happens.
class SpawnPlan {
 public:
  SpawnPlan() {
    AIRLOCK_CHECK_EQ(posix_spawn_file_actions_init(&actions_), 0);
    AIRLOCK_CHECK_EQ(posix_spawnattr_init(&attributes_), 0);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  posix_spawn_file_actions_t* actions() { return &actions_; }
  posix_spawnattr_t* attributes() { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

// A sentry has none.
bool kernel_has_pidfds() {
  static const bool has = UniqueFd(pidfd_open(getpid(), 0)).valid();
  return has;
}

// Stands in for a pidfd: `ours` is readable once nobody holds `theirs` any more, which the child
// gets beside what is passed to it.
struct EndPipe {
  UniqueFd ours;
  UniqueFd theirs;
};

Result<EndPipe> make_end_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("pipe2");
  return EndPipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

int first_free_number(const std::vector<PassedFd>& passed) {
  int first = kStandardFds;
  for (const PassedFd& fd : passed) first = std::max(first, fd.theirs + 1);
  return first;
}

Status plan_fds(const std::vector<PassedFd>& passed, posix_spawn_file_actions_t* actions) {
  for (std::size_t i = 0; i < passed.size(); ++i) {
    // The child's table is filled in order: what is still to be read must not be overwritten.
    for (std::size_t later = i + 1; later < passed.size(); ++later) {
      if (passed[later].ours == passed[i].theirs || passed[later].theirs == passed[i].theirs) {
        return fail(ErrorCode::kInvalidArgument, "passed_fds overwrite one another");
      }
    }
    posix_spawn_file_actions_adddup2(actions, passed[i].ours, passed[i].theirs);
  }
  for (int fd = 0; fd < kStandardFds; ++fd) {
    if (std::ranges::find(passed, fd, &PassedFd::theirs) != passed.end()) continue;
    posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
  }
  posix_spawn_file_actions_addclosefrom_np(actions, first_free_number(passed));
  return {};
}

// The child starts with no signal blocked and none ignored, whatever we do with ours.
void plan_attributes(bool own_process_group, posix_spawnattr_t* attributes) {
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(attributes, &none);
  posix_spawnattr_setsigdefault(attributes, &all);
  int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (own_process_group) flags |= POSIX_SPAWN_SETPGROUP;
  posix_spawnattr_setflags(attributes, static_cast<short>(flags));
}

// `strings` must outlive the pointers.
std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  // Why safe: posix_spawn takes char* for historical reasons and does not write through them.
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

int remaining_ms(std::chrono::steady_clock::time_point deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 86'400'000));
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const ChildProcessOptions& options) {
  AIRLOCK_CHECK(!options.arguments.empty());
  SpawnPlan plan;
  std::vector<PassedFd> passed = options.passed_fds;
  EndPipe end;
  if (!kernel_has_pidfds()) {
    AIRLOCK_ASSIGN(end, make_end_pipe());
    // Out of the way of the numbers that are filled before it.
    end.theirs.reset(fcntl(end.theirs.get(), F_DUPFD_CLOEXEC, kOutOfTheWay));
    passed.push_back({end.theirs.get(), first_free_number(passed)});
  }
  AIRLOCK_TRY(plan_fds(passed, plan.actions()));
  plan_attributes(options.own_process_group, plan.attributes());
  const std::vector<char*> argv = pointers_to(options.arguments);
  const std::vector<char*> envp =
      options.environment ? pointers_to(*options.environment) : std::vector<char*>();
  pid_t pid = -1;
  const int spawn_errno = posix_spawnp(&pid, argv[0], plan.actions(), plan.attributes(),
                                       argv.data(), options.environment ? envp.data() : environ);
  if (spawn_errno != 0) return fail(errno_error("start " + options.arguments[0], spawn_errno));
  if (end.ours.valid()) return ChildProcess(pid, std::move(end.ours));
  // Why safe: the child is ours and nobody has waited for it, so its pid cannot be another's.
  UniqueFd pidfd(pidfd_open(pid, 0));
  if (!pidfd.valid()) {
    const Error error = errno_error("pidfd_open");
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return fail(error);
  }
  return ChildProcess(pid, std::move(pidfd));
}

ChildProcess ChildProcess::adopt(pid_t pid, UniqueFd pidfd) {
  AIRLOCK_CHECK_LT(0, pid);
  AIRLOCK_CHECK(pidfd.valid());
  return ChildProcess(pid, std::move(pidfd));
}

ChildProcess::ChildProcess(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      status_(std::exchange(other.status_, std::nullopt)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    kill_and_reap();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
    status_ = std::exchange(other.status_, std::nullopt);
  }
  return *this;
}

ChildProcess::~ChildProcess() { kill_and_reap(); }

void ChildProcess::kill_and_reap() {
  if (pid_ < 0 || status_) return;
  send_signal(SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
  pid_ = -1;
}

void ChildProcess::send_signal(int signal) const {
  if (status_) return;
  // Why safe: the child is ours and nobody has waited for it, so neither its pidfd nor its pid can
  // be another's.
  if (pidfd_send_signal(pidfd_.get(), signal, nullptr, 0) != 0 && !kernel_has_pidfds()) {
    kill(pid_, signal);
  }
}

Result<int> ChildProcess::wait() {
  if (status_) return *status_;
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) return fail_errno("waitpid");
  }
  status_ = status;
  return status;
}

Result<std::optional<int>> ChildProcess::wait_for(std::chrono::milliseconds timeout) {
  if (status_) return status_;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  pollfd ended{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  while (true) {
    const int ready = poll(&ended, 1, remaining_ms(deadline));
    if (ready < 0 && errno != EINTR) return fail_errno("poll a pidfd");
    if (ready > 0) break;
    if (ready == 0 && std::chrono::steady_clock::now() >= deadline) return std::optional<int>();
  }
  AIRLOCK_ASSIGN(const int status, wait());
  return std::optional<int>(status);
}

Result<CommandOutput> run_command(std::vector<std::string> arguments, CommandLimits limits) {
  const auto deadline = std::chrono::steady_clock::now() + limits.timeout;
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("pipe2");
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  ChildProcessOptions options;
  options.arguments = std::move(arguments);
  options.passed_fds = {{writer.get(), 1}, {writer.get(), 2}};
  AIRLOCK_ASSIGN(ChildProcess child, ChildProcess::start(options));
  writer.reset();

  const auto exceeded = [&options](std::string_view what) {
    return fail(ErrorCode::kLimitExceeded, options.arguments[0] + std::string(what));
  };
  CommandOutput output;
  std::array<char, 4096> buffer{};
  while (true) {
    pollfd readable{.fd = reader.get(), .events = POLLIN, .revents = 0};
    const int ready = poll(&readable, 1, remaining_ms(deadline));
    if (ready < 0 && errno != EINTR) return fail_errno("poll a pipe");
    if (ready == 0) return exceeded(" did not end in time");
    if (ready < 0) continue;
    const ssize_t got = read(reader.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read a pipe");
    if (got == 0) break;
    output.text.append(buffer.data(), static_cast<std::size_t>(got));
    if (output.text.size() > limits.output_max.count()) return exceeded(" wrote too much");
  }
  AIRLOCK_ASSIGN(const std::optional<int> status,
                 child.wait_for(std::chrono::milliseconds(remaining_ms(deadline))));
  if (!status) return exceeded(" did not end in time");
  output.wait_status = *status;
  return output;
}

}  // namespace airlock::base
