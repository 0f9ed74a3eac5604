#include "runner/fake_backend.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

namespace airlock::runner {
namespace {

base::UniqueFd copy_of(int fd) { return base::UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

class FakeProcess final : public backend::Process {
 public:
  FakeProcess(FakeHost& host, const backend::ProcessSpec& spec, backend::Stdio stdio)
      : host_(host), terminal_(spec.terminal) {
    if (terminal_) open_terminal(stdio);
    pid_ = ::fork();
    AIRLOCK_CHECK(pid_ >= 0);
    if (pid_ == 0) become_guest(spec, stdio);
    pidfd_ = base::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    AIRLOCK_CHECK(pidfd_.valid());
    if (host_.hold_output_open) held_ = {copy_of(stdio.out.get()), copy_of(stdio.err.get())};
    wake();
  }
  ~FakeProcess() override {
    (void)::kill(-pid_, SIGKILL);
    if (!reaped_) (void)::waitpid(pid_, nullptr, 0);
  }

  // A test's process wakes the loop at its start (for the terminal) and at its end.
  int event_fd() const override { return master_.valid() ? ready_.get() : pidfd_.get(); }

  base::Result<std::optional<backend::ProcessReport>> try_report() override {
    if (host_.keeper_dies) return base::fail(base::ErrorCode::kUnavailable, "the keeper died");
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
    reaped_ = true;
    (void)::kill(-pid_, SIGKILL);
    return make_report(status);
  }
  base::Result<backend::ProcessReport> wait() override {
    int status = 0;
    AIRLOCK_CHECK_EQ(::waitpid(pid_, &status, 0), pid_);
    reaped_ = true;
    return make_report(status);
  }
  base::Result<std::optional<base::UniqueFd>> try_terminal() override {
    if (!master_.valid()) return std::nullopt;
    return std::move(master_);
  }
  base::Status kill(model::KillReason reason) override { return end_with(SIGKILL, "kill", reason); }
  base::Status terminate(model::KillReason reason, std::chrono::milliseconds) override {
    return end_with(SIGTERM, "terminate", reason);
  }
  base::Status signal(int number) override {
    host_.note("signal " + std::to_string(number));
    (void)::kill(pid_, number);
    return {};
  }

 private:
  void open_terminal(backend::Stdio& stdio) {
    int master = -1;
    int slave = -1;
    AIRLOCK_CHECK_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
    (void)::fcntl(master, F_SETFD, FD_CLOEXEC);
    master_ = base::UniqueFd(master);
    stdio.in = copy_of(slave);
    stdio.out = copy_of(slave);
    stdio.err = base::UniqueFd(slave);
  }

  [[noreturn]] static void become_guest(const backend::ProcessSpec& spec,
                                        const backend::Stdio& stdio) {
    ::setsid();
    ::dup2(stdio.in.get(), 0);
    ::dup2(stdio.out.get(), 1);
    ::dup2(stdio.err.get(), 2);
    if (spec.terminal) (void)::ioctl(0, TIOCSCTTY, 0);
    std::vector<char*> argv;
    for (const std::string& argument : spec.argv)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    std::vector<char*> env;
    for (const std::string& entry : spec.env) env.push_back(const_cast<char*>(entry.c_str()));
    env.push_back(nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::execvpe(argv[0], argv.data(), env.data());
    ::_exit(127);
  }

  void wake() {
    ready_ = base::UniqueFd(::eventfd(1, EFD_CLOEXEC));
    AIRLOCK_CHECK(ready_.valid());
  }

  base::Status end_with(int signal, const char* call, model::KillReason reason) {
    host_.note(call);
    if (reason_ == model::KillReason::kNone) reason_ = reason;
    // A child that has no group yet has no children either.
    if (::kill(-pid_, signal) != 0) (void)::kill(pid_, signal);
    return {};
  }

  backend::ProcessReport make_report(int status) {
    backend::ProcessReport report;
    report.facts.has_exit_status = true;
    report.facts.wait_status = status;
    report.facts.kill_reason = reason_;
    report.facts.setup_failure = host_.setup_failure;
    report.usage.wall = std::chrono::milliseconds(1);
    if (host_.starts_after) report.started = asked_ + *host_.starts_after;
    return report;
  }

  FakeHost& host_;
  const std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
  bool terminal_;
  pid_t pid_ = -1;
  bool reaped_ = false;
  base::UniqueFd pidfd_;
  base::UniqueFd ready_;
  base::UniqueFd master_;
  std::pair<base::UniqueFd, base::UniqueFd> held_;
  model::KillReason reason_ = model::KillReason::kNone;
};

class FakeSandbox final : public backend::Sandbox {
 public:
  explicit FakeSandbox(FakeHost& host) : host_(host) {}
  ~FakeSandbox() override { host_.note("~sandbox"); }
  base::Result<std::unique_ptr<backend::Process>> exec(backend::ProcessSpec spec,
                                                       backend::Stdio stdio) override {
    host_.note("exec " + spec.argv.at(0));
    return std::make_unique<FakeProcess>(host_, std::move(spec), std::move(stdio));
  }

 private:
  FakeHost& host_;
};

class FakeWorkspace final : public backend::Workspace {
 public:
  explicit FakeWorkspace(FakeHost& host) : host_(host) {}
  ~FakeWorkspace() override { host_.note("~workspace"); }
  bool is_alive() const override { return true; }
  base::Result<std::unique_ptr<backend::Sandbox>> create_sandbox(backend::SandboxSpec) override {
    host_.note("create_sandbox");
    if (host_.throws) (void)std::vector<char>().at(0);
    return std::make_unique<FakeSandbox>(host_);
  }
  base::Status put_file(backend::InputFile file) override {
    host_.note("put_file " + file.path);
    return {};
  }
  base::Result<backend::Collected> collect(backend::CollectSpec spec) override {
    for (const std::string& pattern : spec.patterns) {
      host_.collect_asked.push_back(spec.directory + " " + pattern);
    }
    if (host_.collect_fails) return base::fail(base::ErrorCode::kUnavailable, "the keeper died");
    backend::Collected collected;
    for (const auto& [path, content] : host_.output_files) {
      base::UniqueFd fd(::memfd_create("output", MFD_CLOEXEC));
      AIRLOCK_CHECK_EQ(::write(fd.get(), content.data(), content.size()),
                       static_cast<ssize_t>(content.size()));
      collected.files.push_back({path, std::move(fd), base::ByteCount(content.size())});
    }
    collected.refused = host_.refused;
    return collected;
  }

 private:
  FakeHost& host_;
};

}  // namespace

base::Result<std::unique_ptr<backend::Workspace>> FakeBackend::open_workspace(
    backend::WorkspaceSpec) {
  host_.note("open_workspace");
  return std::make_unique<FakeWorkspace>(host_);
}

FakeControl::FakeControl() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  AIRLOCK_CHECK(fd_.valid());
}

void FakeControl::push(ControlEvent event) {
  events_.push_back(event);
  const std::uint64_t one = 1;
  AIRLOCK_CHECK_EQ(::write(fd_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
}

ControlEvent FakeControl::take() {
  std::uint64_t count = 0;
  (void)!::read(fd_.get(), &count, sizeof count);
  if (events_.empty()) return ControlEvent::kNone;
  const ControlEvent event = events_.front();
  events_.pop_front();
  return event;
}

}  // namespace airlock::runner
