// Theory of operation, in order:
//   1. make the network namespace, set the hostname
//   2. wait for ViewSetup (the uid and gid maps are written), become uid init_id inside
//      and open what the host has for this sandbox
//   3. make every mount private, put the future root, made from the skeleton, on /tmp
//   4. mount /usr and its like into it, make all of it read-only, bind the device nodes
//   5. proc, devpts, masks over what /proc tells of the host, what the sandbox is given
//   6. wait for WorkspaceSetup: enter the cgroup, empty the bounding set (from here on a standby
//      process exists), mount the workspace, bind its parts to /workspace, /tmp, /output, /dev/shm,
//      /input,
//      /build
//   7. pivot_root, detach the old root, which waits for every processor that is busy: the keeper
//      has nothing to do by then (a sandbox made ahead does this before 6)
//   8. cut capabilities
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>

#include "apps/init/lower.h"
#include "apps/init/setup_steps.h"
#include "jail/host_view.h"
#include "jail/sandbox_layout.h"
#include "jail/wire_grants.h"

namespace airlock::init {
namespace {

using jail::Stage;

constexpr const char* kStagingPath = "/tmp";  // exists everywhere; covered only in our namespace
constexpr std::string_view kHostname = "airlock";
// A quarter of what one user of the host has by default.
constexpr const char* kInotifyLimit = "/proc/sys/user/max_inotify_instances";
constexpr std::string_view kInotifyInstances = "32";
constexpr std::size_t kPathMax = 4'096;
constexpr std::size_t kGivenPathMax = 1'024;
constexpr unsigned long kCapabilityLast = 63;  // PR_CAPBSET_DROP says EINVAL past the kernel's last

// mount(2) and its flags as the kernel has them; glibc's <sys/mount.h> cannot be included beside
// <linux/mount.h> everywhere.
constexpr unsigned long kReadOnly = 1;
constexpr unsigned long kNoSuid = 2;
constexpr unsigned long kNoDev = 4;
constexpr unsigned long kNoExec = 8;
constexpr unsigned long kRemount = 32;
constexpr unsigned long kBind = 4096;
constexpr unsigned long kRecursive = 16384;
constexpr unsigned long kPrivate = 1ul << 18;
constexpr long kDetach = 2;

bool mount(const char* source, const char* target, const char* type, unsigned long flags,
           const char* options = nullptr) {
  return call(SYS_mount, source, target, type, flags, options);
}

// Static and plain, so that a sandbox that is given nothing touches none of it.
struct Given {
  int mount;
  Stage stage;
  char target[kGivenPathMax];
};
Given given[jail::kBindsMax];

constexpr std::string_view kDevicePrefix = "dev/";

bool is_below_dev(const Given& one) {
  return std::string_view(one.target).starts_with(kDevicePrefix);
}

// Parts after one another, as snprintf("%s%s%s") would.
struct Text {
  char bytes[kPathMax];
  std::size_t size = 0;
  Text& add(std::string_view part) {
    if (part.size() + size >= sizeof bytes) fail_setup(Stage::kMountHostView, ENAMETOOLONG);
    __builtin_memcpy(bytes + size, part.data(), part.size());
    size += part.size();
    bytes[size] = '\0';
    return *this;
  }
};

}  // namespace

void fail_setup(Stage stage, int error) {
  jail::InitReady failure;
  failure.stage = static_cast<std::uint16_t>(stage);
  failure.stage_errno = error;
  jail::send_message(kChannelFd, failure);
  _exit(1);
}

bool raise_loopback() {
  const int fd =
      static_cast<int>(syscall(SYS_socket, (long)AF_INET, (long)(SOCK_DGRAM | SOCK_CLOEXEC), 0L));
  if (fd < 0) return false;
  ifreq request{};
  __builtin_memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP;
  const bool raised = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  close(fd);
  return raised;
}

bool set_host_name() { return call(SYS_sethostname, kHostname.data(), kHostname.size()); }

namespace {

// First of all, while the keeper does other things: the kernel takes about as long for it as for
// everything else here.
void make_network() { require(unshare(CLONE_NEWNET) == 0 && raise_loopback(), Stage::kNetwork); }

}  // namespace

void set_capabilities(std::uint64_t wanted) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int half = 0; half < 2; ++half) {
    const auto bits = static_cast<std::uint32_t>(wanted >> (32 * half));
    data[half] = {bits, bits, 0};
  }
  require(call(SYS_capset, &header, data), Stage::kCapabilities);
}

void take_identity(const jail::ViewSetup& view, std::uint64_t capabilities) {
  if (can_set_groups(view)) require(call(SYS_setgroups, 0, nullptr), Stage::kIdentity);
  const std::uint32_t id = view.init_id;
  require(call(SYS_setresgid, id, id, id), Stage::kIdentity);
  // Keeps the capabilities of the new namespace across the change of uid.
  require(prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L) == 0, Stage::kIdentity);
  require(call(SYS_setresuid, id, id, id), Stage::kIdentity);
  set_capabilities(capabilities);
  // A change of uid clears both.
  require(prctl(PR_SET_PDEATHSIG, static_cast<long>(SIGKILL), 0L, 0L, 0L) == 0, Stage::kIdentity);
  require(prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) == 0, Stage::kIdentity);
}

namespace {

// One call for every mount at and below the current directory, however many there are.
void set_attributes_of_all(std::uint64_t attributes, Stage stage) {
  mount_attr wanted{};
  wanted.attr_set = attributes;
  require(call(SYS_mount_setattr, AT_FDCWD, ".", AT_RECURSIVE, &wanted, sizeof wanted), stage);
}

// An overlay has inodes of its own, even over the same files: locks and inotify watches in one
// sandbox are nothing to another one or to the host. A bind shares the host's.
bool show_folder(const char* source, const char* target) {
  Text options;
  options.add("lowerdir=").add(source).add(":").add(jail::kSkeletonEmpty);
  if (mount("airlock", target, "overlay", kReadOnly | kNoSuid | kNoDev, options.bytes)) return true;
  require(mount(source, target, nullptr, kBind | kRecursive), Stage::kMountHostView);
  return false;
}

void make_point(const char* path, bool is_folder) {
  Text folder;
  const std::string_view whole = path;
  for (std::size_t at = 0; (at = whole.find('/', at)) != std::string_view::npos; ++at) {
    folder.size = 0;
    mkdirat(AT_FDCWD, folder.add(whole.substr(0, at)).bytes, 0755);  // mostly it is there
  }
  const bool made = is_folder ? mkdirat(AT_FDCWD, path, 0755) == 0
                              : call(SYS_mknodat, AT_FDCWD, path, S_IFREG | 0444, 0);
  require(made || errno == EEXIST, Stage::kMountDevices);
}

// A sandbox with devices has a /dev of its own, made like that of the skeleton: names of devices
// are seen by nobody else.
void make_own_dev(const jail::ViewSetup& view) {
  const auto mine = std::span(given, view.binds);
  bool any = false;
  for (const Given& one : mine) any = any || is_below_dev(one);
  if (!any) return;
  require(mount("dev", "dev", "tmpfs", kNoSuid | kNoExec, "mode=0755,size=64k,nr_inodes=1k"),
          Stage::kMountDevices);
  make_point("dev/pts", true);
  make_point("dev/shm", true);
  for (const jail::BindEntry& entry : jail::host_devices()) make_point(entry.path + 1, false);
  for (const jail::LinkEntry& entry : jail::made_links()) {
    if (!std::string_view(entry.path + 1).starts_with(kDevicePrefix)) continue;
    require(call(SYS_symlinkat, entry.target, AT_FDCWD, entry.path + 1), Stage::kMountDevices);
  }
  for (const Given& one : mine) {
    struct stat status{};
    if (is_below_dev(one) && fstat(one.mount, &status) == 0) {
      make_point(one.target, S_ISDIR(status.st_mode));
    }
  }
}

void make_root(const jail::ViewSetup& view) {
  require(mount(nullptr, "/", nullptr, kRecursive | kPrivate), Stage::kMountPrivate);
  bool is_private = true;
  if (view.slot_root.empty()) {
    is_private = show_folder(jail::kSkeletonRoot, kStagingPath);
  } else {
    require(mount(view.slot_root.data(), kStagingPath, nullptr, kBind), Stage::kMountHostView);
  }
  view.trees.for_each([&](std::string_view path) {
    Text target;
    is_private &= show_folder(path.data(), target.add(kStagingPath).add(path).bytes);
  });
  if (!is_private) {
    jail::send_message(kChannelFd, jail::InitReady{.missing = jail::kLacksPrivateView});
  }
  require(chdir(kStagingPath) == 0, Stage::kMountRoot);
  make_own_dev(view);
  set_attributes_of_all(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                        Stage::kMountHostView);
  // A device node is opened for writing and must work.
  for (const jail::BindEntry& entry : jail::host_devices()) {
    const bool done = mount(entry.path, entry.path + 1, nullptr, kBind);
    require(done || (entry.optional && errno == ENOENT), Stage::kMountDevices);
  }
}

void mount_kernel_views() {
  require(mount("proc", "proc", "proc", kNoSuid | kNoDev | kNoExec, "hidepid=2"),
          Stage::kMountProc);
  for (const jail::MaskEntry& mask : jail::proc_masks()) {
    const char* source = mask.kind == jail::MaskKind::kFolder ? ".empty" : "dev/null";
    const bool done = mount(source, mask.path + 1, nullptr, kBind);
    require(done || errno == ENOENT, Stage::kMountProc);  // not every kernel has every file
  }
  require(mount("devpts", "dev/pts", "devpts", kNoSuid | kNoExec,
                "newinstance,ptmxmode=0666,mode=0600,max=16"),
          Stage::kMountDevices);
}

void change_root() {
  // With both arguments the same the old root ends up on top of the new one and is detached from
  // there.
  require(call(SYS_pivot_root, ".", "."), Stage::kPivotRoot);
  require(call(SYS_umount2, ".", kDetach), Stage::kPivotRoot);
  require(chdir("/") == 0, Stage::kPivotRoot);
  set_attributes_of_all(MOUNT_ATTR_NOSUID, Stage::kPivotRoot);
}

// What is made from here on is charged to the group.
void enter_group(std::span<const base::UniqueFd> entrances) {
  for (const base::UniqueFd& entrance : entrances) {
    require(write(entrance.get(), "0", 1) == 1, Stage::kCgroup);
  }
}

// `source`: of a file system that exists, or -1.
void attach_workspace(int source, std::string_view tmpfs_options) {
  if (source < 0) {
    require(mount("workspace", jail::kWorkspaceStaging, "tmpfs", kNoSuid | kNoDev,
                  tmpfs_options.data()),
            Stage::kMountWorkspace);
    return;
  }
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  const bool moved =
      call(SYS_mount_setattr, source, "", AT_EMPTY_PATH, &attributes, sizeof attributes) &&
      call(SYS_move_mount, source, "", AT_FDCWD, jail::kWorkspaceStaging, MOVE_MOUNT_F_EMPTY_PATH);
  require(moved, Stage::kMountWorkspace);
}

int open_given(const jail::Bind& bind) {
  const auto mount =
      static_cast<int>(syscall(SYS_open_tree, (long)AT_FDCWD, bind.source.data(),
                               (long)(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)));
  mount_attr wanted{};
  wanted.attr_set = bind.attributes;
  wanted.propagation = kPrivate;
  const bool done = mount >= 0 && call(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | AT_RECURSIVE,
                                       &wanted, sizeof wanted);
  require(done, static_cast<Stage>(bind.stage));
  return mount;
}

// What the host has for this sandbox, while we can still find it.
void receive_given(const jail::ViewSetup& view) {
  require(view.binds <= jail::kBindsMax, Stage::kRequest);
  for (Given& one : std::span(given, view.binds)) {
    char bytes[8 * 1024];
    jail::Packet packet;
    const auto bind = await<jail::Bind>(bytes, &packet);
    one.stage = static_cast<Stage>(bind.stage);
    if (bind.target.size() >= sizeof one.target) fail_setup(one.stage, ENAMETOOLONG);
    __builtin_memcpy(one.target, bind.target.data(), bind.target.size());
    one.mount = bind.source.empty() ? packet.fds[0].release() : open_given(bind);
  }
}

// After everything else of the root: their own attributes are right already.
void place_given(const jail::ViewSetup& view) {
  for (const Given& one : std::span(given, view.binds)) {
    const bool done =
        call(SYS_move_mount, one.mount, "", AT_FDCWD, one.target, MOVE_MOUNT_F_EMPTY_PATH);
    require(done, one.stage);
    close(one.mount);
  }
}

void place_part(const jail::WorkspacePart& part) {
  const bool made = mkdirat(AT_FDCWD, part.source, part.mode) == 0;
  require(made || errno == EEXIST, Stage::kMountWorkspace);
  if (made && part.guest_owned) {
    require(fchownat(AT_FDCWD, part.source, kGuestId, kGuestId, 0) == 0, Stage::kMountWorkspace);
  }
  require(mount(part.source, part.target, nullptr, kBind), Stage::kMountWorkspace);
  if (!part.read_only) return;
  require(mount(nullptr, part.target, nullptr, kBind | kRemount | kReadOnly | kNoSuid | kNoDev),
          Stage::kMountWorkspace);
}

// Gives the parts their places and leaves a descriptor of the whole at kWorkspaceFd.
void place_workspace(const jail::ViewSetup& view) {
  for (const jail::WorkspacePart& part : jail::kWorkspaceParts) {
    const std::string_view target = part.target;
    if (view.has_layer && target == jail::kBuildPart) continue;
    jail::WorkspacePart placed = part;
    if (view.workspace_read_only && target == jail::kWorkspacePart) placed.read_only = true;
    place_part(placed);
  }
  if (view.hand_back_workspace) {
    const base::UniqueFd handle(
        static_cast<int>(syscall(SYS_open_tree, (long)AT_FDCWD, jail::kWorkspaceStaging,
                                 (long)(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))));
    require(handle.valid(), Stage::kMountWorkspace);
    const int fds[] = {handle.get()};
    require(jail::send_message(kChannelFd, jail::WorkspaceMount{}, fds) == 0,
            Stage::kMountWorkspace);
  }
  const base::UniqueFd whole(open(jail::kWorkspaceStaging, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  require(whole.valid() && dup2(whole.get(), kWorkspaceFd) >= 0, Stage::kMountWorkspace);
  // Init owns the whole and lets nobody in; where it is the same user as the guest the whole has to
  // go out of sight. Not always, since every unmount waits for all processors.
  require(call(SYS_fchmod, whole.get(), 0700), Stage::kMountWorkspace);
  if (view.init_id != kGuestId) return;
  require(call(SYS_umount2, jail::kWorkspaceStaging, kDetach), Stage::kMountWorkspace);
}

}  // namespace

void empty_bounding_set() {
  for (unsigned long capability = 0; capability <= kCapabilityLast; ++capability) {
    if (call(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0)) continue;
    require(errno == EINVAL && capability > 0, Stage::kCapabilities);
    break;
  }
}

void take_streams(int fd) {
  for (const int stream : {0, 1, 2}) {
    require(syscall(SYS_dup3, (long)fd, (long)stream, (long)O_CLOEXEC) == stream, Stage::kStdio);
  }
}

void reserve_descriptors() {
  fcntl(kChannelFd, F_SETFD, static_cast<long>(FD_CLOEXEC));
  for (const int fd : {0, 1, 2, kWorkspaceFd}) {
    require(syscall(SYS_dup3, (long)kChannelFd, (long)fd, (long)O_CLOEXEC) == fd, Stage::kStdio);
  }
}

void begin_setup(SetupState* state) {
  umask(0);
  if (!has_network()) make_network();
  require(set_host_name(), Stage::kNetwork);
  jail::Packet packet;
  const jail::ViewSetup& view = state->view = await<jail::ViewSetup>(state->view_bytes, &packet);
  if (!view.workspace_directory.empty()) {
    // Before the change of uid: afterwards the state directory cannot be entered any more.
    state->workspace_fd.reset(
        static_cast<int>(syscall(SYS_open_tree, (long)AT_FDCWD, view.workspace_directory.data(),
                                 (long)(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))));
    require(state->workspace_fd.valid(), Stage::kMountWorkspace);
  }
  receive_given(view);
  require(chdir(view.skeleton.data()) == 0, Stage::kMountRoot);  // so is this one
  take_identity(view, jail::kSetupCapabilities);
  make_root(view);
  mount_kernel_views();
  place_given(view);
  if (view.detach_early) change_root();
  state->workspace = await<jail::WorkspaceSetup>(state->workspace_bytes, &packet);
  const bool has_mount = state->workspace.has_mount;
  if (has_mount) state->workspace_fd = std::move(packet.fds[0]);
  const std::size_t first = has_mount ? 1 : 0;
  enter_group(std::span(packet.fds).subspan(first, packet.fd_count - first));
  empty_bounding_set();
}

void finish_setup(SetupState* state) {
  attach_workspace(state->workspace_fd.get(), state->workspace.tmpfs_options);
  place_workspace(state->view);
  if (!state->view.detach_early) change_root();
  if (state->view.bound_watches) {
    const base::UniqueFd limit(open(kInotifyLimit, O_WRONLY | O_CLOEXEC));
    write(limit.get(), kInotifyInstances.data(), kInotifyInstances.size());
  }
  set_capabilities(jail::kInitCapabilities);  // ambient ones go with the inheritable ones
  const base::UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  take_streams(null.get());
}

}  // namespace airlock::init
