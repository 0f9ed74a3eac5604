#include "container/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace airlock::container {
namespace {

using base::UniqueFd;

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

base::Result<std::pair<UniqueFd, UniqueFd>> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return base::fail_errno("pipe");
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

[[noreturn]] void execute(const std::vector<std::string>& words, int in, int out, int err) {
  dup2(in, 0);
  dup2(out, 1);
  if (err >= 0) dup2(err, 2);
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  char path[128];
  std::strcpy(path, kPath);
  char* const environment[] = {path, nullptr};
  signal(SIGPIPE, SIG_DFL);
  execvpe(argv[0], argv.data(), environment);
  const std::string said = words[0] + ": " + std::strerror(errno) + "\n";
  (void)!write(2, said.data(), said.size());
  _exit(127);
}

}  // namespace

std::string ProgramEnd::text() const {
  std::string line = output.substr(0, output.find('\n'));
  if (status < 0) return "it does not end";
  if (line.empty()) line = "it ended with " + std::to_string(status);
  return line;
}

base::Result<ProgramEnd> run_program(const std::vector<std::string>& words,
                                     std::chrono::milliseconds timeout) {
  AIRLOCK_ASSIGN(auto output, make_pipe());
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const pid_t pid = fork();
  if (pid < 0) return base::fail_errno("fork");
  if (pid == 0) execute(words, null.get(), output.second.get(), output.second.get());
  output.second.reset();
  const UniqueFd handle(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  ProgramEnd end;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  bool reads = true;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd set[] = {{reads ? output.first.get() : -1, POLLIN, 0}, {handle.get(), POLLIN, 0}};
    if (left.count() <= 0) break;
    if (poll(set, 2, static_cast<int>(left.count())) < 0 && errno != EINTR) break;
    if (set[0].revents != 0) {
      char chunk[4096];
      const ssize_t count = read(output.first.get(), chunk, sizeof chunk);
      reads = count > 0;
      const std::size_t room = kProgramOutputMax - end.output.size();
      if (count > 0) end.output.append(chunk, std::min(room, static_cast<std::size_t>(count)));
      continue;
    }
    if (set[1].revents == 0) continue;
    int status = 0;
    waitpid(pid, &status, 0);
    end.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return end;
  }
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return end;
}

base::Result<RunningProgram> start_program(const std::vector<std::string>& words,
                                           std::span<const UniqueFd> entrances) {
  AIRLOCK_ASSIGN(auto input, make_pipe());
  AIRLOCK_ASSIGN(auto output, make_pipe());
  // A file: nobody reads it while the program runs, which must not wait for that.
  UniqueFd said(memfd_create("airlock-said", MFD_CLOEXEC));
  if (!said.valid()) return base::fail_errno("memfd_create");
  const pid_t pid = fork();
  if (pid < 0) return base::fail_errno("fork");
  if (pid == 0) {
    for (const UniqueFd& entrance : entrances) {
      if (write(entrance.get(), "0", 1) != 1) _exit(126);
    }
    execute(words, input.first.get(), output.second.get(), said.get());
  }
  return RunningProgram{.pid = pid,
                        .in = std::move(input.second),
                        .out = std::move(output.first),
                        .said = std::move(said)};
}

}  // namespace airlock::container
