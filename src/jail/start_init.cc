#include "jail/start_init.h"

#include <linux/prctl.h>
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
  // Real and effective uid: where they differ, kernels before 6.14 take the exec for one of a
  // set-user-ID program and clear the ambient capabilities. The saved one leads back.
  const auto creator = static_cast<long>(start.creator);
  int death_signal = 0;  // that a change of uid would clear
  if (creator != 0) {
    sys::raw_call(SYS_prctl, PR_GET_PDEATHSIG, sys::raw_word(&death_signal));
    sys::raw_call(SYS_setresuid, creator, creator, kUnchanged);
    sys::raw_call(SYS_setfsuid, 0);  // files are still opened as ourselves
  }
  const sys::RawChild child =
      sys::clone_and_execute({.namespaces = kNamespaces,
                              .cgroup_fd = start.cgroup_fd,
                              .program_fd = start.program_fd,
                              .name = "airlock-init",
                              .argument = start.has_network ? kHasNetwork : nullptr,
                              .directory = start.directory,
                              .passed_fd = start.channel_fd,
                              .passed_as = kInitChannelFd,
                              .capabilities = kSetupCapabilities});
  if (creator != 0) sys::raw_call(SYS_setresuid, 0, 0, kUnchanged);
  if (death_signal != 0) sys::raw_call(SYS_prctl, PR_SET_PDEATHSIG, death_signal);
  return child;
}

}  // namespace airlock::jail
