#include "apps/airlock/privilege.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace airlock::apps {
namespace {

// Without CAP_SETPCAP the bounding set stays as it is; with no_new_privs that gives nothing back.
base::Status drop_bounding_set() {
  for (unsigned long capability = 0;; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EINVAL || errno == EPERM) return {};
    return base::fail_errno("drop a capability from the bounding set");
  }
}

}  // namespace

base::Status drop_capabilities() {
  if (::geteuid() == 0) AIRLOCK_TRY(drop_bounding_set());
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) {
    return base::fail_errno("clear the ambient capabilities");
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct nothing[_LINUX_CAPABILITY_U32S_3] = {};
  // Why safe: both structs are the kernel's own, of the version the header names. glibc has no
  // wrapper.
  if (::syscall(SYS_capset, &header, nothing) != 0) return base::fail_errno("drop capabilities");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return base::fail_errno("set no_new_privs");
  return {};
}

void hide_from_own_user() { ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

}  // namespace airlock::apps
