#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>

#include "jail/id_map.h"
#include "jail/slot_pool.h"
#include "nest/tiers.h"
#include "sys/files.h"

namespace airlock::nest {
namespace {

constexpr int kNamespaces =
    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

// The namespaces, a device node and a change of root, below `folder`.
bool try_nested(const std::string& folder) {
  const std::string node = folder + "/null";
  // Before there is a namespace in which we are nobody.
  const std::string uids = std::to_string(jail::kGuestId) + " " + std::to_string(getuid()) + " 1";
  const std::string gids = std::to_string(jail::kGuestId) + " " + std::to_string(getgid()) + " 1";
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(kNamespaces) != 0) _exit(errno);
    (void)sys::write_file_at(AT_FDCWD, "/proc/self/setgroups", "deny");
    if (sys::write_file_at(AT_FDCWD, "/proc/self/gid_map", gids) != 0 ||
        sys::write_file_at(AT_FDCWD, "/proc/self/uid_map", uids) != 0 ||
        mknod(node.c_str(), S_IFCHR | 0600, makedev(1, 3)) != 0 || chroot(folder.c_str()) != 0) {
      _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace

jail::Tier find_tier(bool allow_process) {
  char folder[] = "/tmp/airlock-tier-XXXXXX";
  const bool made = mkdtemp(folder) != nullptr;
  const bool nested = made && try_nested(folder);
  if (made) {
    unlink((std::string(folder) + "/null").c_str());
    rmdir(folder);
  }
  if (nested) return jail::Tier::kNestedGvisor;
  return allow_process ? jail::Tier::kProcess : jail::Tier::kRefused;
}

std::string lower_run_directory(const jail::LauncherOptions& options) {
  constexpr const char* kSuffix = "-nest";
  if (!options.run_directory.empty()) return options.run_directory + kSuffix;
  const std::string usual = jail::default_run_directory() + kSuffix;
  if (mkdir(usual.c_str(), 0700) == 0 || errno == EEXIST) return usual;
  return "/tmp/airlock-" + std::to_string(geteuid()) + kSuffix;  // a root that cannot be written
}

}  // namespace airlock::nest
