// Theory of operation, in order:
//   1. enter the cgroup, wait for the keeper's go (the uid and gid maps are written), become uid
//      init_uid inside
//   2. make every mount private, mount the skeleton as the future root on /tmp
//   3. mount /usr and its like into it, make all of it read-only, bind the device nodes
//   4. attach the workspace, bind its parts to /workspace, /tmp, /output, /dev/shm, /input
//   5. proc, devpts, masks over what /proc tells of the host
//   6. pivot_root, detach the old root
//   7. join the network namespace that a task of ours made since step 1, set the hostname
//   8. close every descriptor but channel and workspace, cut capabilities, exec init
#include "jail/sandbox_setup.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/prctl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "jail/channel.h"
#include "jail/host_view.h"
#include "jail/wire.h"
#include "sys/files.h"

namespace airlock::jail {
namespace {

constexpr const char* kStagingPath = "/tmp";  // exists everywhere; covered only in our namespace
constexpr const char* kHostname = "airlock";
// A quarter of what one user of the host has by default.
constexpr const char* kInotifyLimit = "proc/sys/user/max_inotify_instances";
constexpr const char* kInotifyInstances = "32";
constexpr unsigned long kCapabilityLast = 63;  // PR_CAPBSET_DROP says EINVAL past the kernel's last

// What init keeps, inside its own user namespace only: to become the guest, to signal and reap it,
// to read outputs whatever their mode, to give each process a cgroup namespace, to drop the rest.
constexpr std::uint64_t bit(int capability) { return 1ull << capability; }
constexpr std::uint64_t kInitCapabilities = bit(CAP_SETUID) | bit(CAP_SETGID) | bit(CAP_KILL) |
                                            bit(CAP_DAC_READ_SEARCH) | bit(CAP_DAC_OVERRIDE) |
                                            bit(CAP_CHOWN) | bit(CAP_SETPCAP) | bit(CAP_SYS_ADMIN);

[[noreturn]] void fail_setup(Stage stage, int error) {
  InitReady failure;
  failure.stage = static_cast<std::uint16_t>(stage);
  failure.stage_errno = error;
  send_message(kInitChannelFd, failure);
  _exit(1);
}

void require(bool done, Stage stage) {
  if (!done) fail_setup(stage, errno);
}

void enter_group(const SetupPlan& plan) {
  for (const base::UniqueFd& entrance : plan.group_entrances) {
    require(write(entrance.get(), "0", 1) == 1, Stage::kCgroup);
  }
}

void take_identity(const SetupPlan& plan) {
  char go = 0;
  require(read(kInitChannelFd, &go, 1) == 1, Stage::kIdMap);
  if (plan.can_set_groups) require(syscall(SYS_setgroups, 0, nullptr) == 0, Stage::kIdentity);
  require(syscall(SYS_setresgid, plan.init_gid, plan.init_gid, plan.init_gid) == 0,
          Stage::kIdentity);
  // Keeps the capabilities of the new namespace across the change of uid.
  require(prctl(PR_SET_KEEPCAPS, 1) == 0, Stage::kIdentity);
  require(syscall(SYS_setresuid, plan.init_uid, plan.init_uid, plan.init_uid) == 0,
          Stage::kIdentity);
  require(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, Stage::kIdentity);  // a change of uid clears it
}

void set_capabilities(std::uint64_t wanted) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int half = 0; half < 2; ++half) {
    const auto bits = static_cast<std::uint32_t>(wanted >> (32 * half));
    data[half] = {bits, bits, bits};
  }
  require(syscall(SYS_capset, &header, data) == 0, Stage::kCapabilities);
}

// All capabilities of the user namespace we are root of.
void raise_capabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  require(syscall(SYS_capget, &header, data) == 0, Stage::kCapabilities);
  data[0].effective = data[0].permitted;
  data[1].effective = data[1].permitted;
  require(syscall(SYS_capset, &header, data) == 0, Stage::kCapabilities);
}

// One call for every mount at and below the current directory, however many there are.
void set_attributes_of_all(std::uint64_t attributes, Stage stage) {
  mount_attr wanted{};
  wanted.attr_set = attributes;
  require(mount_setattr(AT_FDCWD, ".", AT_RECURSIVE, &wanted, sizeof wanted) == 0, stage);
}

// An overlay has inodes of its own, even over the same files: locks and inotify watches in one
// sandbox are nothing to another one or to the host. A bind shares the host's.
bool show_folder(const char* source, const char* target) {
  char options[512];
  std::snprintf(options, sizeof options, "lowerdir=%s:%s", source, kSkeletonEmpty);
  if (mount("airlock", target, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, options) == 0) {
    return true;
  }
  require(mount(source, target, nullptr, MS_BIND | MS_REC, nullptr) == 0, Stage::kMountHostView);
  return false;
}

void make_root(const HostView& view) {
  require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, Stage::kMountPrivate);
  bool is_private = show_folder(kSkeletonRoot, kStagingPath);
  for (const std::string& path : view.trees) {
    char target[512];
    std::snprintf(target, sizeof target, "%s%s", kStagingPath, path.c_str());
    is_private &= show_folder(path.c_str(), target);
  }
  if (!is_private) send_message(kInitChannelFd, InitReady{.missing = kLacksPrivateView});
  require(chdir(kStagingPath) == 0, Stage::kMountRoot);
  set_attributes_of_all(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                        Stage::kMountHostView);
  // A device node is opened for writing and must work.
  for (const BindEntry& entry : host_devices()) {
    const bool done = mount(entry.path, entry.path + 1, nullptr, MS_BIND, nullptr) == 0;
    require(done || (entry.optional && errno == ENOENT), Stage::kMountDevices);
  }
}

void attach_workspace(const SetupPlan& plan, int directory_tree) {
  const int source = plan.workspace_mount_fd >= 0 ? plan.workspace_mount_fd : directory_tree;
  if (source >= 0) {
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    require(mount_setattr(source, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0,
            Stage::kMountWorkspace);
    require(move_mount(source, "", AT_FDCWD, kWorkspaceStaging, MOVE_MOUNT_F_EMPTY_PATH) == 0,
            Stage::kMountWorkspace);
    return;
  }
  require(mount("workspace", kWorkspaceStaging, "tmpfs", MS_NOSUID | MS_NODEV,
                plan.tmpfs_options.c_str()) == 0,
          Stage::kMountWorkspace);
}

// Gives the parts their places and leaves a descriptor of the whole for init at kInitWorkspaceFd.
void place_workspace(const SetupPlan& plan, uid_t guest_uid) {
  for (const WorkspacePart& part : kWorkspaceParts) {
    char source[64];
    std::snprintf(source, sizeof source, "%s/%s", kWorkspaceStaging, part.name);
    const bool made = mkdir(source, part.mode) == 0;
    require(made || errno == EEXIST, Stage::kMountWorkspace);
    if (made) {
      require(chmod(source, part.mode) == 0, Stage::kMountWorkspace);
      if (part.guest_owned) {
        require(chown(source, guest_uid, guest_uid) == 0, Stage::kMountWorkspace);
      }
    }
    require(mount(source, part.target, nullptr, MS_BIND, nullptr) == 0, Stage::kMountWorkspace);
    if (!part.read_only) continue;
    require(mount(nullptr, part.target, nullptr,
                  MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) == 0,
            Stage::kMountWorkspace);
  }
  if (plan.hand_back_workspace) {
    const int handle = open_tree(AT_FDCWD, kWorkspaceStaging, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    require(handle >= 0, Stage::kMountWorkspace);
    const int fds[] = {handle};
    require(send_message(kInitChannelFd, WorkspaceMount{}, fds) == 0, Stage::kMountWorkspace);
    close(handle);
  }
  const int whole = open(kWorkspaceStaging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  require(whole >= 0 && dup2(whole, kInitWorkspaceFd) >= 0, Stage::kMountWorkspace);
  // Init owns the whole and lets nobody in; where it is the same user as the guest the whole has to
  // go out of sight. Not always, since every unmount waits for all processors.
  require(fchmod(whole, 0700) == 0, Stage::kMountWorkspace);
  if (plan.init_uid != guest_uid) return;
  require(umount2(kWorkspaceStaging, MNT_DETACH) == 0, Stage::kMountWorkspace);
}

void mount_kernel_views() {
  require(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2") == 0,
          Stage::kMountProc);
  for (const MaskEntry& mask : proc_masks()) {
    const char* source = mask.kind == MaskKind::kFolder ? ".empty" : "dev/null";
    const bool done = mount(source, mask.path + 1, nullptr, MS_BIND, nullptr) == 0;
    require(done || errno == ENOENT, Stage::kMountProc);  // not every kernel has every file
  }
  require(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                "newinstance,ptmxmode=0666,mode=0600,max=16") == 0,
          Stage::kMountDevices);
}

void change_root() {
  // With both arguments the same the old root ends up on top of the new one and is detached from
  // there.
  require(syscall(SYS_pivot_root, ".", ".") == 0, Stage::kPivotRoot);
  require(umount2(".", MNT_DETACH) == 0, Stage::kPivotRoot);
  require(chdir("/") == 0, Stage::kPivotRoot);
  set_attributes_of_all(MOUNT_ATTR_NOSUID, Stage::kPivotRoot);
}

// Making a network namespace takes the kernel about as long as all of our mounts, so a task of its
// own makes it meanwhile. The task shares our memory and descriptors, makes plain system calls, and
// is reaped before init is executed.
struct NetworkMaker {
  pid_t pid = -1;
  int namespace_fd = -1;
  int error = 0;
  alignas(16) char stack[16 * 1024];
};

int raise_loopback() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP;
  const int raised = ioctl(fd, SIOCSIFFLAGS, &request);
  close(fd);
  return raised;
}

int make_network(void* argument) {
  auto* maker = static_cast<NetworkMaker*>(argument);
  // Opened before /proc moves away under us; what "net" means is looked up afterwards.
  const int own = open("/proc/thread-self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (own < 0 || unshare(CLONE_NEWNET) != 0 || raise_loopback() != 0) {
    maker->error = errno;
    return 1;
  }
  maker->namespace_fd = openat(own, "net", O_RDONLY | O_CLOEXEC);
  if (maker->namespace_fd < 0) maker->error = errno;
  return 0;
}

void start_network(NetworkMaker* maker) {
  // Takes the number that the workspace gets later, so that nothing of the task's can have it.
  require(dup2(kInitChannelFd, kInitWorkspaceFd) >= 0, Stage::kNetwork);
  // Why safe: the memory outlives the task, which is waited for in join_network.
  maker->pid = clone(make_network, maker->stack + sizeof maker->stack,
                     CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, maker);
  require(maker->pid > 0, Stage::kNetwork);
}

void join_network(NetworkMaker* maker) {
  int status = 0;
  require(waitpid(maker->pid, &status, 0) == maker->pid, Stage::kNetwork);
  if (maker->namespace_fd < 0) fail_setup(Stage::kNetwork, maker->error);
  require(setns(maker->namespace_fd, CLONE_NEWNET) == 0, Stage::kNetwork);
  require(sethostname(kHostname, std::strlen(kHostname)) == 0, Stage::kNetwork);
}

void cut_capabilities() {
  for (unsigned long capability = 0; capability <= kCapabilityLast; ++capability) {
    if ((kInitCapabilities >> capability & 1) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, capability) != 0 && errno == EINVAL) break;
  }
  set_capabilities(kInitCapabilities);
  for (unsigned long capability = 0; capability <= kCapabilityLast; ++capability) {
    if ((kInitCapabilities >> capability & 1) == 0) continue;
    require(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0,
            Stage::kCapabilities);
  }
}

}  // namespace

void run_sandbox_child(const SetupPlan& plan) {
  // Our channel gets its final number first: every failure is told through it.
  if (dup2(plan.channel_fd, kInitChannelFd) < 0) _exit(1);
  // The keeper may die at any time from here on. Its end of the channel is ours as well until it is
  // closed, and would keep us waiting for a go that never comes.
  require(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, Stage::kIdentity);
  close(plan.keeper_channel_fd);
  int directory_tree = -1;
  if (!plan.workspace_directory.empty()) {
    // Before the change of uid: afterwards the state directory cannot be entered any more.
    directory_tree =
        open_tree(AT_FDCWD, plan.workspace_directory.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    require(directory_tree >= 0, Stage::kMountWorkspace);
  }
  require(chdir(plan.host_view->skeleton.c_str()) == 0, Stage::kMountRoot);  // so is this one
  enter_group(plan);
  take_identity(plan);
  raise_capabilities();
  umask(0);
  NetworkMaker network;
  start_network(&network);
  make_root(*plan.host_view);
  attach_workspace(plan, directory_tree);
  place_workspace(plan, 1000);
  mount_kernel_views();
  if (plan.bound_watches) sys::write_file_at(AT_FDCWD, kInotifyLimit, kInotifyInstances);
  change_root();
  join_network(&network);
  cut_capabilities();
  const int init_fd = fcntl(plan.init_fd, F_DUPFD_CLOEXEC, kInitWorkspaceFd + 1);
  require(init_fd >= 0, Stage::kExecInit);
  if (init_fd > kInitWorkspaceFd + 1) close_range(kInitWorkspaceFd + 1, init_fd - 1, 0);
  close_range(static_cast<unsigned>(init_fd) + 1, ~0u, 0);
  close_range(0, 2, 0);
  char name[] = "airlock-init";
  char* argv[] = {name, nullptr};
  char* environment[] = {nullptr};
  syscall(SYS_execveat, init_fd, "", argv, environment, AT_EMPTY_PATH);
  fail_setup(Stage::kExecInit, errno);
}

}  // namespace airlock::jail
