// HostProbe: the only way in which the checks look at the host.
//
// The checks are pure functions over this interface, so that a test can play an old kernel, a
// container or Ubuntu's AppArmor by filling a fake. LiveProbe is the real host: it reads files as
// they are and answers `attempt` by forking a child that really does the thing and is gone again
// before the call returns. Nothing is left behind by any call. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace airlock::host {

// Things that only trying can tell.
enum class Trial {
  kNamespaces,     // every namespace of a sandbox, mounts in it, a new root
  kSeccompFilter,  // a filter is installed
  kSeccompNotify,  // a filter with a listener is installed
  kLandlock,       // value: the ABI
  kPidfd,
  kClone3,
  kOpenat2,
  kMountApi,  // fsopen of a tmpfs; EPERM means that the kernel has it
  kCoreScheduling,
  kOverlay,     // an overlay mounted in a user namespace
  kLoopDevice,  // /dev/loop-control can be opened
};

struct Attempt {
  int os_errno = 0;        // 0: it worked
  std::string step;        // which step failed: "network namespace"; empty when it worked
  std::int64_t value = 0;  // what the trial says it means
  bool worked() const { return os_errno == 0; }
};

struct CgroupLimit {
  std::string file;   // "memory.max"
  std::string value;  // what is written into it
};

// A group made below `parent`, limits written, a process moved in, all of it removed again.
struct CgroupTrial {
  std::string parent;
  std::vector<CgroupLimit> limits;
  std::vector<std::string> files;  // which of these does such a group have?
};

struct CgroupAttempt {
  Attempt made;                    // mkdir
  std::vector<Attempt> limits;     // one for each limit that was asked for; empty if not made
  std::vector<std::string> files;  // those of CgroupTrial::files that are there
  Attempt entered;                 // a child of ours moved in
};

struct Identity {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;
  std::string name;       // empty if the uid has none
  std::uint32_t pid = 0;  // of this process
  bool is_root() const { return uid == 0; }
};

struct KernelName {
  std::string release;  // "6.1.0-18-amd64"
  std::string version;  // "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1"
  std::string machine;  // "x86_64"
};

enum class FileKind { kRegular, kFolder, kCharacterDevice, kOther };

struct FileFacts {
  FileKind kind = FileKind::kOther;
  std::uint32_t owner = 0;
  std::uint32_t mode = 0;  // permission bits with setuid and setgid, 07777
};

struct Space {
  std::string folder;  // the nearest folder that exists
  base::ByteCount free;
  std::uint64_t free_inodes = 0;
};

class HostProbe {
 public:
  virtual ~HostProbe() = default;

  virtual Identity identity() = 0;
  virtual KernelName kernel() = 0;
  // The content of a small file (at most kReadMax bytes of it), nullopt if it cannot be read.
  virtual std::optional<std::string> read(const std::string& path) = 0;
  // Follows symbolic links; nullopt if there is nothing.
  virtual std::optional<FileFacts> facts(const std::string& path) = 0;
  virtual bool may_write(const std::string& path) = 0;
  virtual bool may_execute(const std::string& path) = 0;
  virtual std::optional<Space> space(const std::string& folder) = 0;
  // "nginx (pid 812)"; nullopt if it belongs to nobody whose descriptors we may read.
  virtual std::optional<std::string> find_socket_owner(std::uint64_t inode) = 0;

  virtual Attempt attempt(Trial trial) = 0;
  virtual CgroupAttempt attempt_cgroup(const CgroupTrial& trial) = 0;
};

inline constexpr std::size_t kReadMax = 1 << 20;

}  // namespace airlock::host
