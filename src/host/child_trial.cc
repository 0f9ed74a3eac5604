#include "host/child_trial.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>

#include "base/unique_fd.h"

namespace airlock::host {

namespace {

Attempt failed(int os_errno, const char* step) { return {.os_errno = os_errno, .step = step}; }

// Waits for the record; the end of the pipe without one means that the child died.
Attempt receive_record(int pipe_fd) {
  pollfd waiting{.fd = pipe_fd, .events = POLLIN, .revents = 0};
  const int ready = poll(&waiting, 1, static_cast<int>(kTrialDeadline.count()));
  if (ready == 0) return failed(ETIMEDOUT, "a trial that does not end");
  TrialRecord record;
  const ssize_t size = read(pipe_fd, &record, sizeof record);
  if (size != static_cast<ssize_t>(sizeof record)) return failed(ECHILD, "a trial that died");
  return {.os_errno = record.os_errno, .step = record.step, .value = record.value};
}

[[noreturn]] void run_child(TrialFunction function, int pipe_fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  TrialRecord record;
  function(&record);
  const ssize_t size = write(pipe_fd, &record, sizeof record);
  _exit(size == static_cast<ssize_t>(sizeof record) ? 0 : 1);
}

}  // namespace

Attempt run_in_child(TrialFunction function) {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return failed(errno, "pipe");
  const base::UniqueFd reading(ends[0]);
  base::UniqueFd writing(ends[1]);
  const pid_t child = fork();
  if (child < 0) return failed(errno, "fork");
  if (child == 0) run_child(function, writing.get());
  writing.reset();
  const Attempt attempt = receive_record(reading.get());
  kill(child, SIGKILL);  // it has said all that it will say
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) continue;
  return attempt;
}

bool note(TrialRecord* record, bool worked, const char* step) {
  if (worked) return true;
  record->os_errno = errno;
  record->step = step;
  return false;
}

}  // namespace airlock::host
