#include "container/run_program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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
  dup2(err, 2);
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

base::Result<RunningProgram> start_program(const std::vector<std::string>& words,
                                           std::span<const UniqueFd> entrances) {
  AIRLOCK_ASSIGN(auto input, make_pipe());
  AIRLOCK_ASSIGN(auto output, make_pipe());
  // A file: nobody reads it while the program runs, which must not wait for that.
  UniqueFd said(memfd_create("airlock-said", MFD_CLOEXEC));
  if (!said.valid()) return base::fail_errno("memfd_create");
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return base::fail_errno("fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a shim that is killed takes it with it
    if (getppid() != parent) _exit(126);
    for (const UniqueFd& entrance : entrances) {
      if (write(entrance.get(), "0", 1) != 1) _exit(126);
    }
    execute(words, input.first.get(), output.second.get(), said.get());
  }
  return RunningProgram{
      .in = std::move(input.second), .out = std::move(output.first), .said = std::move(said)};
}

}  // namespace airlock::container
