// The trial of a cgroup: a group under a name that is never the launcher's, so that the two cannot
// get in each other's way, and gone before the call returns.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <string>

#include "base/unique_fd.h"
#include "host/trials.h"

namespace airlock::host {

namespace {

// The kernel lets go of a member that is dead a moment late.
constexpr int kRemoveAttempts = 100;
constexpr unsigned kRemoveIntervalUs = 1'000;

// One folder of a cgroup file system, removed by its destructor.
class TrialGroup {
 public:
  explicit TrialGroup(const std::string& parent)
      : path_(parent + "/airlock-doctor-" + std::to_string(getpid())) {
    error_ = mkdir(path_.c_str(), 0755) == 0 ? 0 : errno;
  }
  TrialGroup(const TrialGroup&) = delete;
  TrialGroup& operator=(const TrialGroup&) = delete;
  ~TrialGroup() {
    if (error_ != 0) return;
    for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
      if (rmdir(path_.c_str()) == 0 || errno == ENOENT) return;
      usleep(kRemoveIntervalUs);
    }
  }

  int error() const { return error_; }
  bool has_file(const std::string& name) const {
    return access((path_ + "/" + name).c_str(), F_OK) == 0;
  }
  Attempt write_file(const std::string& name, const std::string& value) const {
    const base::UniqueFd fd(open((path_ + "/" + name).c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.valid()) return {.os_errno = errno, .step = name};
    const ssize_t size = write(fd.get(), value.data(), value.size());
    if (size < 0) return {.os_errno = errno, .step = name};
    return {};
  }

 private:
  std::string path_;
  int error_ = 0;
};

// A child that does nothing is moved in; it never runs a program.
Attempt move_child_into(const TrialGroup& group) {
  const pid_t child = fork();
  if (child < 0) return {.os_errno = errno, .step = "fork"};
  if (child == 0) {
    // Bounded, should the parent die before it kills us.
    sleep(2);
    _exit(0);
  }
  Attempt attempt = group.write_file("cgroup.procs", std::to_string(child));
  kill(child, SIGKILL);
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) continue;
  return attempt;
}

}  // namespace

CgroupAttempt attempt_cgroup_trial(const CgroupTrial& trial) {
  CgroupAttempt attempt;
  const TrialGroup group(trial.parent);
  attempt.made = {.os_errno = group.error(), .step = group.error() == 0 ? "" : "mkdir"};
  if (group.error() != 0) return attempt;
  for (const CgroupLimit& limit : trial.limits) {
    attempt.limits.push_back(group.write_file(limit.file, limit.value));
  }
  for (const std::string& file : trial.files) {
    if (group.has_file(file)) attempt.files.push_back(file);
  }
  attempt.entered = move_child_into(group);
  return attempt;
}

}  // namespace airlock::host
