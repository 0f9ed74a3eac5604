#include "jail/start_init.h"

#include <linux/sched.h>
#include <sys/syscall.h>

#include "jail/sandbox_layout.h"

namespace airlock::jail {
namespace {

constexpr std::uint64_t kNamespaces =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
constexpr long kUnchanged = -1;

}  // namespace

sys::RawChild start_init(const InitStart& start) {
  if (start.creator != 0) {
    sys::raw_call(SYS_setresuid, kUnchanged, static_cast<long>(start.creator), kUnchanged);
    sys::raw_call(SYS_setfsuid, 0);  // files are still opened as ourselves
  }
  const sys::RawChild child = sys::clone_and_execute({.namespaces = kNamespaces,
                                                      .cgroup_fd = start.cgroup_fd,
                                                      .program_fd = start.program_fd,
                                                      .name = "airlock-init",
                                                      .passed_fd = start.channel_fd,
                                                      .passed_as = kInitChannelFd,
                                                      .capabilities = kSetupCapabilities});
  if (start.creator != 0) sys::raw_call(SYS_setresuid, kUnchanged, 0, kUnchanged);
  return child;
}

}  // namespace airlock::jail
