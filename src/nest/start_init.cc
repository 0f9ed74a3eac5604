#include "nest/start_init.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/unique_fd.h"
#include "jail/sandbox_layout.h"
#include "sys/files.h"

namespace airlock::nest {
namespace {

constexpr int kOutOfTheWay = 20;  // of the numbers that init knows

bool become(uid_t uid) {
  // Afterwards nobody could.
  for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; ++capability) {}
  return setgroups(0, nullptr) == 0 && setresgid(uid, uid, uid) == 0 &&
         setresuid(uid, uid, uid) == 0;
}

// What our caller left open does not get in.
void close_others_on_exec() {
  constexpr int kFirst = jail::kInitEndFd + 1;
  if (syscall(SYS_close_range, kFirst, ~0u, CLOSE_RANGE_CLOEXEC) == 0) return;
  sys::Directory open_now(AT_FDCWD, "/proc/self/fd", 0);
  while (const char* name = open_now.next()) {
    const int fd = std::atoi(name);
    if (fd >= kFirst) fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}

[[noreturn]] void be_init(const LowerInit& request, int end_fd) {
  setsid();  // no terminal and no process group of ours can stop it
  const int program = fcntl(request.program_fd, F_DUPFD_CLOEXEC, kOutOfTheWay);
  const int channel = fcntl(request.channel_fd, F_DUPFD_CLOEXEC, kOutOfTheWay);
  const int end = fcntl(end_fd, F_DUPFD_CLOEXEC, kOutOfTheWay);
  dup2(channel, jail::kInitChannelFd);
  dup2(end, jail::kInitEndFd);
  close_others_on_exec();
  if (request.uid != 0 && !become(request.uid)) _exit(errno);
  char name[] = "airlock-init";
  char* const argv[] = {name, const_cast<char*>(request.mode), nullptr};
  char* const environment[] = {nullptr};
  syscall(SYS_execveat, program, "", argv, environment, AT_EMPTY_PATH);
  _exit(errno);
}

}  // namespace

sys::RawChild start_lower_init(const LowerInit& request) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {-errno, -1};
  base::UniqueFd ours(ends[0]);
  const base::UniqueFd theirs(ends[1]);
  const pid_t pid = fork();
  if (pid == 0) be_init(request, theirs.get());
  if (pid < 0) return {-errno, -1};
  return {pid, ours.release()};
}

}  // namespace airlock::nest
