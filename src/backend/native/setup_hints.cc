#include "backend/native/setup_hints.h"

#include <cerrno>

namespace airlock::backend::native {
namespace {

std::string exec_hint(int os_errno) {
  switch (os_errno) {
    case ENOENT:
      return "the program or the interpreter it names does not exist inside the sandbox, which "
             "sees "
             "/usr of this host and its own workspace";
    case EACCES: return "the file is not executable: chmod +x it, or name its language";
    case ENOEXEC: return "the file is neither an executable of this machine nor a script with #!";
    case E2BIG: return "arguments and environment are too long";
    default: return {};
  }
}

// `what` a sandbox was to be given besides its workspace.
std::string grant_hint(int os_errno, const std::string& what) {
  switch (os_errno) {
    case ENOENT: return "there is no such " + what + ", or something that it names is missing";
    case EINVAL: return "that is no name of a " + what;
    case ENOTSUP: return "a " + what + " takes mounts, which this host gives nobody";
    case ENXIO: return "the device node is not the one that the CDI spec describes: make it anew";
    case EEXIST: return "two of them want the same path inside";
    default: return "the " + what + " could not be mounted";
  }
}

std::string namespace_hint(int os_errno, bool rootless) {
  if (os_errno == ENOSPC) return "raise user.max_user_namespaces and the other user.max_* limits";
  if (os_errno == EPERM && rootless) {
    return "this host does not let ordinary users make user namespaces: airlock doctor names the "
           "setting";
  }
  return "airlock doctor finds out what this host lacks";
}

}  // namespace

std::string setup_hint(jail::Stage stage, int os_errno, bool rootless) {
  using enum jail::Stage;
  switch (stage) {
    case kExec: return exec_hint(os_errno);
    case kWorkingDirectory: return "the working directory does not exist inside the sandbox";
    case kInput:
      if (os_errno == ENOSPC) return "the input files are larger than the disk limit: raise --disk";
      return "an input file could not be written: its path collides with another or is not allowed";
    case kTerminal:
      return os_errno == ENOTSUP
                 ? "a container has no terminal: give stdin or stdout another end, as with | cat"
                 : "airlock doctor finds out what this host lacks";
    case kSlot: return "too many sandboxes at once on this host: wait for one to end";
    case kWorkspace:
      return "more than 64 MiB of disk needs e2fsprogs and a free loop device: airlock doctor";
    case kClone:
    case kIdMap:
    case kIdentity:
    case kMountPrivate:
    case kMountRoot:
    case kMountProc: return namespace_hint(os_errno, rootless);
    case kNetwork:
      if (os_errno == EOPNOTSUPP) {
        return "network gateway needs tier \"full\", which this host does not give: airlock doctor "
               "names what is in the way; a run with network none works";
      }
      return namespace_hint(os_errno, rootless);
    case kRequest: return "the request names something this launcher does not know";
    case kTier:
      return "this host lets nobody make namespaces, so a program would run as a bare process "
             "(tier \"process\"); to allow that: --allow-tier process, or "
             "AIRLOCK_ALLOW_TIER=process; "
             "airlock doctor names what would give a better tier";
    case kLayer: return grant_hint(os_errno, "layer");
    case kFolder: return grant_hint(os_errno, "folder of the operator");
    case kDevice: return grant_hint(os_errno, "device");
    case kImage: return "images are to be had with execution.mode docker or docker+gvisor only";
    case kTimeout: return "the host is overloaded or a file system hangs";
    default: return "airlock doctor finds out what this host lacks";
  }
}

}  // namespace airlock::backend::native
