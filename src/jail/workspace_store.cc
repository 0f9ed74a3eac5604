#include "jail/workspace_store.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <linux/quota.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "jail/sandbox_layout.h"
#include "jail/test_hooks.h"
#include "sys/files.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

constexpr const char* kMkfs[] = {"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"};
constexpr std::uint32_t kOwnInodes = 16;  // our directories are not the guest's to pay for
constexpr std::uint64_t kImageOverhead = 2u << 20;  // what ext4 needs for itself, beside its inodes
constexpr std::uint64_t kImageInodeBytes = 256;
constexpr std::uint32_t kProjectIdFirst = 0x78000000;  // like the uid pool: nobody else's
constexpr int kLoopAttempts = 16;  // another process may take the free device first
constexpr const char* kDirectoryName = "work";

base::Result<UniqueFd> open_work_directory(const std::string& state_directory) {
  const std::string path = state_directory + "/" + kDirectoryName;
  for (std::size_t end = path.find('/', 1); end != std::string::npos;
       end = path.find('/', end + 1)) {
    mkdir(path.substr(0, end).c_str(), 0700);
  }
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return base::fail_errno("mkdir " + path);
  return sys::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

int remove_directory(int parent_fd, const char* name) {
  const UniqueFd directory(
      openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (directory.valid()) sys::remove_tree_below(directory.get());
  return unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 ? 0 : errno;
}

base::Status run_mkfs(int image_fd, std::uint32_t inodes, uid_t uid, gid_t gid) {
  const char* program = nullptr;
  for (const char* candidate : kMkfs) {
    if (access(candidate, X_OK) == 0) program = candidate;
  }
  if (program == nullptr) {
    return base::fail(base::ErrorCode::kUnavailable, "mkfs.ext4 is not installed",
                      "apt-get install e2fsprogs, or ask for at most 64 MiB of disk");
  }
  const std::string image = "/proc/self/fd/3";
  std::string extended = "lazy_itable_init=1,nodiscard,root_owner=";
  extended += std::to_string(uid) + ":" + std::to_string(gid);
  const std::string inode_count = std::to_string(inodes);
  const char* argv[] = {program,
                        "-q",
                        "-F",
                        "-m",
                        "0",
                        "-O",
                        "^has_journal,^resize_inode",
                        "-N",
                        inode_count.c_str(),
                        "-E",
                        extended.c_str(),
                        image.c_str(),
                        nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, 0, 1);
  posix_spawn_file_actions_adddup2(&actions, 0, 2);
  posix_spawn_file_actions_adddup2(&actions, image_fd, 3);
  char* environment[] = {nullptr};
  pid_t child = -1;
  const int failure =
      posix_spawn(&child, program, &actions, nullptr, const_cast<char**>(argv), environment);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return base::fail(base::errno_error("start mkfs.ext4", failure));
  int status = 0;
  if (waitpid(child, &status, 0) != child) return base::fail_errno("wait for mkfs.ext4");
  if (status != 0) return base::fail(base::ErrorCode::kIo, "mkfs.ext4 failed");
  return {};
}

// A loop device on `image_fd` that goes away with its last user.
base::Result<UniqueFd> attach_loop(int image_fd, std::string* path) {
  AIRLOCK_ASSIGN(const UniqueFd control, sys::open_at(AT_FDCWD, "/dev/loop-control", O_RDWR));
  for (int attempt = 0; attempt < kLoopAttempts; ++attempt) {
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return base::fail_errno("find a free loop device");
    *path = "/dev/loop" + std::to_string(number);
    AIRLOCK_ASSIGN(UniqueFd device, sys::open_at(AT_FDCWD, path->c_str(), O_RDWR));
    loop_config configuration{};
    configuration.fd = static_cast<std::uint32_t>(image_fd);
    configuration.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (ioctl(device.get(), LOOP_CONFIGURE, &configuration) == 0) return device;
    if (errno != EBUSY) return base::fail_errno("configure " + *path);
  }
  return base::fail(base::ErrorCode::kUnavailable, "no loop device could be had");
}

base::Result<UniqueFd> mount_image(const std::string& device) {
  const UniqueFd context(fsopen("ext4", FSOPEN_CLOEXEC));
  if (!context.valid()) return base::fail_errno("fsopen ext4");
  if (fsconfig(context.get(), FSCONFIG_SET_STRING, "source", device.c_str(), 0) != 0 ||
      fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return base::fail_errno("mount " + device);
  }
  UniqueFd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  if (!mount.valid()) return base::fail_errno("mount " + device);
  return mount;
}

}  // namespace

base::Result<WorkspaceStore> WorkspaceStore::create(const IdHost& ids,
                                                    const std::string& state_directory,
                                                    std::uint32_t slot, std::uint64_t bytes,
                                                    std::uint32_t inodes) {
  WorkspaceStore store;
  constexpr std::uint64_t kPlenty = 1u << 20;
  store.bytes_ = switched_off("disk") ? bytes + 1024 * kPlenty : bytes;
  store.inodes_ = switched_off("disk") ? kPlenty : inodes;
  if (bytes <= kTmpfsBytesMax) {
    store.describe_tmpfs();
    return store;
  }
  AIRLOCK_ASSIGN(store.parent_, open_work_directory(state_directory));
  store.name_ = "s" + std::to_string(slot);
  store.directory_ = state_directory + "/" + kDirectoryName + "/" + store.name_;
  remove_directory(store.parent_.get(), store.name_.c_str());
  if (ids.kind != IdMapKind::kPool) {
    AIRLOCK_TRY(store.make_watched_directory());
    return store;
  }
  if (store.make_project_directory(ids, slot).has_value()) return store;
  remove_directory(store.parent_.get(), store.name_.c_str());
  store.name_.clear();
  store.directory_.clear();
  AIRLOCK_TRY(store.make_loop_image(ids, slot));
  return store;
}

WorkspaceStore WorkspaceStore::in_runtime(std::uint64_t bytes, std::uint32_t inodes) {
  WorkspaceStore store;
  store.bytes_ = bytes;
  store.inodes_ = inodes;
  store.describe_tmpfs();
  return store;
}

void WorkspaceStore::describe_tmpfs() {
  tmpfs_options_ = "mode=0755,size=" + std::to_string(bytes_) +
                   ",nr_inodes=" + std::to_string(inodes_ + kOwnInodes);
}

base::Result<WorkspaceStore> WorkspaceStore::in_place(const std::string& path, std::uint64_t bytes,
                                                      std::uint32_t inodes, mode_t input_mode) {
  WorkspaceStore store;
  store.kind_ = WorkspaceKind::kInPlace;
  store.bytes_ = bytes;
  store.inodes_ = inodes;
  store.input_mode_ = input_mode;
  AIRLOCK_ASSIGN(store.parent_, sys::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY));
  store.directory_ = path;
  AIRLOCK_TRY(store.empty_parts());
  return store;
}

base::Status WorkspaceStore::empty_parts() {
  for (const WorkspacePart& part : kWorkspaceParts) {
    AIRLOCK_ASSIGN(const UniqueFd folder,
                   sys::open_at(parent_.get(), part.target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    fchmod(folder.get(), 0700);
    const int failure = sys::remove_tree_below(folder.get());
    fchmod(folder.get(), part.read_only ? input_mode_ : part.mode);
    if (failure != 0) {
      return base::fail(base::errno_error("empty " + directory_ + "/" + part.target, failure));
    }
  }
  return {};
}

WorkspaceStore::~WorkspaceStore() {
  mount_.reset();
  // What cannot be removed now is removed before the place is used again, or that fails.
  if (kind_ == WorkspaceKind::kInPlace && parent_.valid()) (void)empty_parts();
  if (parent_.valid() && !name_.empty()) remove_directory(parent_.get(), name_.c_str());
}

base::Status WorkspaceStore::make_watched_directory() {
  kind_ = WorkspaceKind::kWatched;
  if (mkdirat(parent_.get(), name_.c_str(), 0755) != 0)
    return base::fail_errno("mkdir " + directory_);
  return {};
}

base::Status WorkspaceStore::make_project_directory(const IdHost& ids, std::uint32_t slot) {
  kind_ = WorkspaceKind::kProjectQuota;
  const std::uint32_t project = kProjectIdFirst + slot;
  if (mkdirat(parent_.get(), name_.c_str(), 0755) != 0)
    return base::fail_errno("mkdir " + directory_);
  AIRLOCK_ASSIGN(const UniqueFd fd,
                 sys::open_at(parent_.get(), name_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  dqblk quota{};
  quota.dqb_bhardlimit = bytes_ / QIF_DQBLKSIZE;
  quota.dqb_ihardlimit = inodes_ + kOwnInodes;
  quota.dqb_valid = QIF_LIMITS;
  const int command = QCMD(Q_SETQUOTA, PRJQUOTA);
  if (syscall(SYS_quotactl_fd, fd.get(), command, project, &quota) != 0) {
    return base::fail_errno("project quota of " + directory_);
  }
  fsxattr attributes{};
  if (ioctl(fd.get(), FS_IOC_FSGETXATTR, &attributes) != 0) return base::fail_errno(directory_);
  attributes.fsx_projid = project;
  attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  if (ioctl(fd.get(), FS_IOC_FSSETXATTR, &attributes) != 0) return base::fail_errno(directory_);
  if (fchown(fd.get(), host_uid(ids, slot, kInitId), host_gid(ids, slot, kInitId)) != 0) {
    return base::fail_errno("chown " + directory_);
  }
  // Init, who is another user, could not go there.
  mount_.reset(static_cast<int>(
      syscall(SYS_open_tree, fd.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!mount_.valid()) return base::fail_errno("open_tree " + directory_);
  return {};
}

base::Status WorkspaceStore::make_loop_image(const IdHost& ids, std::uint32_t slot) {
  kind_ = WorkspaceKind::kLoopImage;
  // Without a name there is nothing to delete, however we die.
  AIRLOCK_ASSIGN(const UniqueFd image, sys::open_at(parent_.get(), ".", O_RDWR | O_TMPFILE, 0600));
  const std::uint32_t inodes = inodes_ + kOwnInodes;
  const std::uint64_t size = bytes_ + kImageOverhead + inodes * kImageInodeBytes + bytes_ / 64;
  if (ftruncate(image.get(), static_cast<off_t>(size)) != 0)
    return base::fail_errno("size of image");
  AIRLOCK_TRY(
      run_mkfs(image.get(), inodes, host_uid(ids, slot, kInitId), host_gid(ids, slot, kInitId)));
  std::string path;
  AIRLOCK_ASSIGN(const UniqueFd device, attach_loop(image.get(), &path));
  AIRLOCK_ASSIGN(mount_, mount_image(path));
  return {};
}

bool WorkspaceStore::over_limit() const {
  if (!is_watched()) return false;
  if (kind_ == WorkspaceKind::kInPlace) return parts_over_limit();
  const UniqueFd directory(
      openat(parent_.get(), name_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid()) return false;
  const sys::TreeUsage usage = sys::measure_tree(directory.get(), inodes_ + kOwnInodes);
  return usage.bytes > bytes_ || usage.entries > inodes_ + kOwnInodes;
}

bool WorkspaceStore::parts_over_limit() const {
  sys::TreeUsage total;
  for (const WorkspacePart& part : kWorkspaceParts) {
    const UniqueFd folder(
        openat(parent_.get(), part.target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder.valid()) continue;
    const sys::TreeUsage usage = sys::measure_tree(folder.get(), inodes_);
    total.bytes += usage.bytes;
    total.entries += usage.entries;
  }
  return total.bytes > bytes_ || total.entries > inodes_;
}

void sweep_workspaces(const std::string& state_directory, const SlotPool& slots,
                      std::uint32_t own_slot, const std::string& kept) {
  const std::string path = state_directory + "/" + kDirectoryName;
  if (sys::holds_no_folder_but(AT_FDCWD, path.c_str(), kept)) return;
  sys::Directory listing(AT_FDCWD, path.c_str());
  struct stat status{};
  if (!listing.valid() || fstat(listing.fd(), &status) != 0 || status.st_uid != geteuid()) return;
  while (const char* found = listing.next()) {
    const std::string_view name = found;
    std::uint32_t number = 0;
    if (!name.starts_with('s') || name == kept) continue;
    const auto parsed = std::from_chars(name.data() + 1, name.data() + name.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size()) continue;
    const Slot slot = slots.try_take(number);
    if (slot.valid() || number == own_slot) remove_directory(listing.fd(), found);
  }
}

}  // namespace airlock::jail
