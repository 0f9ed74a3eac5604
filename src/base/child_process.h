// ChildProcess: a program of the host that we started and that never outlives its owner.
//
// Guarantees: the destructor kills it with SIGKILL and reaps it; it is known by a pidfd, so that a
// signal never reaches a stranger with a recycled pid; of our descriptors it gets just those in
// `passed_fds`. Does not confine anything: it is for tools of the host (a compiler's --version, the
// launcher). Guests are started by the launcher only. One owner, one thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"

namespace airlock::base {

struct PassedFd {
  int ours;    // stays open here
  int theirs;  // its number in the child: 0, 1, 2, ...
};

struct ChildProcessOptions {
  std::vector<std::string> arguments;  // [0] is a path, or a name that is looked up in PATH
  std::optional<std::vector<std::string>> environment;  // "KEY=value"; absent: the same as ours
  std::vector<PassedFd> passed_fds;  // of 0, 1 and 2 those that are not named are /dev/null
  bool own_process_group = false;    // Ctrl-C on our terminal does not reach it
};

class ChildProcess {
 public:
  static Result<ChildProcess> start(const ChildProcessOptions& options);
  // Takes over a child that someone else cloned; nobody else may wait for it.
  static ChildProcess adopt(pid_t pid, UniqueFd pidfd);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable once the child has ended

  // Nothing happens if it has already ended.
  void send_signal(int signal) const;
  // Waits without end; gives the status as of wait(2), again and again.
  Result<int> wait();
  // As wait, but gives nothing if the child still runs after `timeout`.
  Result<std::optional<int>> wait_for(std::chrono::milliseconds timeout);

 private:
  ChildProcess(pid_t pid, UniqueFd pidfd);
  void kill_and_reap();

  pid_t pid_ = -1;
  UniqueFd pidfd_;
  std::optional<int> status_;
};

struct CommandOutput {
  int wait_status = 0;
  std::string text;  // stdout and stderr, in the order of writing
};

// Runs a command of the host to its end without input. It is an error (kLimitExceeded) if it takes
// longer than `timeout` or writes more than `output_max`; it is killed then.
struct CommandLimits {
  std::chrono::milliseconds timeout{10'000};
  ByteCount output_max = kibibytes(64);
};
Result<CommandOutput> run_command(std::vector<std::string> arguments, CommandLimits limits);

}  // namespace airlock::base
