#include "sys/landlock.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace airlock::sys {
namespace {

// include/uapi/linux/landlock.h of Linux 6.12; older headers lack some of it.
constexpr std::uint64_t kExecute = 1ULL << 0;
constexpr std::uint64_t kWriteFile = 1ULL << 1;
constexpr std::uint64_t kReadFile = 1ULL << 2;
constexpr std::uint64_t kReadDir = 1ULL << 3;
constexpr std::uint64_t kRemoveDir = 1ULL << 4;
constexpr std::uint64_t kRemoveFile = 1ULL << 5;
constexpr std::uint64_t kMakeDir = 1ULL << 7;
constexpr std::uint64_t kMakeReg = 1ULL << 8;
constexpr std::uint64_t kMakeSock = 1ULL << 9;
constexpr std::uint64_t kMakeFifo = 1ULL << 10;
constexpr std::uint64_t kMakeSym = 1ULL << 12;
constexpr std::uint64_t kRefer = 1ULL << 13;     // ABI 2
constexpr std::uint64_t kTruncate = 1ULL << 14;  // ABI 3
constexpr std::uint64_t kIoctlDev = 1ULL << 15;  // ABI 5

constexpr std::uint64_t kRightsOfAbi1 = (1ULL << 13) - 1;
constexpr std::uint64_t kRightsOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDev;
constexpr std::uint64_t kReadTree = kReadFile | kReadDir;
// No device nodes: there is nothing that a sandbox should make one of.
constexpr std::uint64_t kWriteTree = kWriteFile | kTruncate | kRemoveDir | kRemoveFile | kMakeDir |
                                     kMakeReg | kMakeSock | kMakeFifo | kMakeSym | kRefer;

constexpr std::uint64_t kScopeAbstractUnixSocket = 1ULL << 0;  // ABI 6
constexpr std::uint64_t kScopeSignal = 1ULL << 1;              // ABI 6
constexpr int kScopeAbi = 6;

constexpr unsigned kCreateVersion = 1U << 0;  // LANDLOCK_CREATE_RULESET_VERSION
constexpr int kRulePathBeneath = 1;           // LANDLOCK_RULE_PATH_BENEATH

struct RulesetAttributes {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;  // ABI 4
  std::uint64_t scoped;              // ABI 6
};

struct PathBeneath {
  std::uint64_t allowed_access;
  std::int32_t parent_fd;
} __attribute__((packed));

// Older kernels refuse a longer struct only if what they do not know is set, which it never is.
int create_ruleset(int abi, LandlockScope scope) {
  RulesetAttributes attributes{};
  attributes.handled_access_fs = landlock_handled_rights(abi);
  if (scope == LandlockScope::kConfined && abi >= kScopeAbi) {
    attributes.scoped = kScopeAbstractUnixSocket | kScopeSignal;
  }
  // Why safe: the kernel copies the struct, whose size is passed.
  return static_cast<int>(
      syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0U));
}

int add_opened_tree(int ruleset, int fd, std::uint64_t rights) {
  struct stat status{};
  if (fstat(fd, &status) != 0) return errno;
  PathBeneath rule{};
  rule.allowed_access = S_ISDIR(status.st_mode) ? rights : rights & kRightsOfFiles;
  rule.parent_fd = fd;
  // Why safe: the kernel copies the struct that belongs to this type of rule.
  return syscall(SYS_landlock_add_rule, ruleset, kRulePathBeneath, &rule, 0U) == 0 ? 0 : errno;
}

int add_tree(int ruleset, int abi, const LandlockTree& tree) {
  const std::uint64_t rights = landlock_granted_rights(tree.rights, abi);
  if (tree.fd >= 0) return add_opened_tree(ruleset, tree.fd, rights);
  const int fd = open(tree.path, O_PATH | O_CLOEXEC);
  if (fd < 0) return tree.optional && errno == ENOENT ? 0 : errno;
  const int error = add_opened_tree(ruleset, fd, rights);
  close(fd);
  return error;
}

int add_trees(int ruleset, int abi, std::span<const LandlockTree> trees, int* tree_index) {
  for (std::size_t i = 0; i < trees.size(); ++i) {
    const int error = add_tree(ruleset, abi, trees[i]);
    if (error == 0) continue;
    *tree_index = static_cast<int>(i);
    return error;
  }
  return 0;
}

}  // namespace

int landlock_abi() {
  // Why safe: asks for the version only, no struct is passed.
  const long version =
      syscall(SYS_landlock_create_ruleset, nullptr, std::size_t{0}, kCreateVersion);
  return version > 0 ? static_cast<int>(version) : 0;
}

std::uint64_t landlock_handled_rights(int abi) {
  std::uint64_t rights = kRightsOfAbi1;
  if (abi >= 2) rights |= kRefer;
  if (abi >= 3) rights |= kTruncate;
  if (abi >= 5) rights |= kIoctlDev;
  return abi >= 1 ? rights : 0;
}

std::uint64_t landlock_granted_rights(LandlockRights rights, int abi) {
  std::uint64_t granted = kReadTree;
  switch (rights) {
    case LandlockRights::kRead: break;
    case LandlockRights::kReadExecute: granted |= kExecute; break;
    case LandlockRights::kReadWrite: granted |= kWriteTree; break;
    case LandlockRights::kReadWriteExecute: granted |= kWriteTree | kExecute; break;
    case LandlockRights::kDevices: granted |= kWriteFile | kTruncate | kIoctlDev; break;
  }
  return granted & landlock_handled_rights(abi);
}

int make_landlock_ruleset(int abi, std::span<const LandlockTree> trees, LandlockScope scope,
                          LandlockOutcome* outcome) {
  *outcome = {};
  const int ruleset = create_ruleset(abi, scope);
  if (ruleset < 0) {
    outcome->error = errno;
    return -1;
  }
  outcome->error = add_trees(ruleset, abi, trees, &outcome->tree_index);
  if (outcome->error == 0) return ruleset;
  close(ruleset);
  return -1;
}

int enter_landlock(int ruleset) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  // Why safe: takes a descriptor and flags.
  return syscall(SYS_landlock_restrict_self, ruleset, 0U) == 0 ? 0 : errno;
}

}  // namespace airlock::sys
