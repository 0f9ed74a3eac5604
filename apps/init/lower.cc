#include "apps/init/lower.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstddef>

#include "apps/init/setup_steps.h"
#include "jail/host_view.h"
#include "sys/process_tree.h"
#include "sys/seccomp.h"

namespace airlock::init {
namespace {

using jail::Stage;

constexpr unsigned long kNamespaces =
    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
constexpr std::uint64_t kLowerCapabilities = jail::kSetupCapabilities |
                                             jail::capability_bit(CAP_SYS_CHROOT) |
                                             jail::capability_bit(CAP_MKNOD);
constexpr std::size_t kTextMax = 64;
constexpr int kStopRounds = 16;

Mode current_mode = Mode::kFull;
bool born_in_network = false;
std::uint32_t own_uid = kGuestId;
std::uint32_t own_gid = kGuestId;
int container_space = -1;

// --- namespaces ---------------------------------------------------------------------------------

struct ShortText {
  char bytes[kTextMax] = {};
  std::size_t size = 0;
  ShortText& add(std::string_view part) {
    for (const char byte : part) {
      if (size + 1 < sizeof bytes) bytes[size++] = byte;
    }
    return *this;
  }
  ShortText& add(unsigned long number) {
    char digits[24];
    std::size_t at = sizeof digits;
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    return add(std::string_view(digits + at, sizeof digits - at));
  }
};

bool write_map(unsigned long pid, const char* name, std::string_view text) {
  ShortText path;
  path.add("/proc/").add(pid).add("/").add(name);
  const base::UniqueFd file(open(path.bytes, O_WRONLY | O_CLOEXEC));
  return file.valid() &&
         write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Our own id, and no other: more would need a capability.
bool write_maps(unsigned long pid) {
  // Not every kernel has the file; one that has it refuses the next map without this.
  write_map(pid, "setgroups", "deny");
  ShortText uids;
  ShortText gids;
  uids.add(kGuestId).add(" ").add(own_uid).add(" 1");
  gids.add(kGuestId).add(" ").add(own_gid).add(" 1");
  return write_map(pid, "gid_map", {gids.bytes, gids.size}) &&
         write_map(pid, "uid_map", {uids.bytes, uids.size});
}

// Outside of the namespaces there is nothing to do but to be there: the keeper knows us, and our
// end is the end of what is inside.
[[noreturn]] void wait_outside(int inside) {
  for (const int fd : {0, 1, 2, kChannelFd}) close(fd);
  int status = 0;
  while (wait4(inside, &status, 0, nullptr) < 0 && errno == EINTR) {}
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

// Returns inside. An exec there would cost the capabilities where the kernel has no ambient ones.
void enter_namespaces() {
  int pair[2];
  require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, Stage::kClone);
  const long inside = syscall(SYS_clone, kNamespaces | SIGCHLD, 0L, nullptr, nullptr, 0L);
  require(inside >= 0, Stage::kClone);
  char byte = 0;
  if (inside == 0) {
    close(pair[0]);
    // A parent that ends from here on takes us with it. Of one that has ended already, although it
    // has said what we wait for, the other end is closed.
    prctl(PR_SET_PDEATHSIG, static_cast<long>(SIGKILL), 0L, 0L, 0L);
    pollfd parent = {pair[1], POLLIN, 0};
    if (read(pair[1], &byte, 1) != 1 || poll(&parent, 1, 0) != 0) _exit(1);
    close(pair[1]);
    own_uid = own_gid = kGuestId;
    return;
  }
  require(write_maps(static_cast<unsigned long>(inside)), Stage::kIdMap);
  require(write(pair[0], &byte, 1) == 1, Stage::kIdMap);
  wait_outside(static_cast<int>(inside));
}

// --- nested: a root of our own ------------------------------------------------------------------

struct Device {
  const char* path;
  unsigned minor;
};
constexpr unsigned kMemoryMajor = 1;
constexpr Device kDevices[] = {
    {"dev/null", 3}, {"dev/zero", 5}, {"dev/full", 7}, {"dev/random", 8}, {"dev/urandom", 9}};

// Once for each place: the nodes stay. A sentry lets the root of a user namespace make them; where
// the kernel does not, the names remain what the skeleton has there, empty files.
void make_devices() {
  struct stat status{};
  for (const Device& device : kDevices) {
    const bool there = syscall(SYS_newfstatat, static_cast<long>(AT_FDCWD), device.path, &status,
                               static_cast<long>(AT_SYMLINK_NOFOLLOW)) == 0;
    if (there && S_ISCHR(status.st_mode)) continue;
    constexpr const char* kPassing = "dev/.new";
    call(SYS_unlinkat, AT_FDCWD, kPassing, 0);
    const bool made =
        call(SYS_mknodat, AT_FDCWD, kPassing, S_IFCHR | 0666, kMemoryMajor << 8 | device.minor);
    if (made) call(SYS_renameat, AT_FDCWD, kPassing, AT_FDCWD, device.path);
  }
}

void change_nested_root(const jail::ViewSetup& view) {
  require(chdir(view.skeleton.data()) == 0, Stage::kMountRoot);
  make_devices();
  require(call(SYS_chroot, "."), Stage::kPivotRoot);
  require(chdir("/") == 0, Stage::kPivotRoot);
}

// --- the second filter --------------------------------------------------------------------------

constexpr std::uint32_t kFchmodat2 = 452;
constexpr std::uint32_t kSetxattrat = 463;

enum class Refuse : std::uint8_t { kAlways, kUnlessZero, kUnlessSelf, kIfEqual, kIfAtLeast };

struct Rule {
  std::uint32_t number;
  Refuse refuse = Refuse::kAlways;
  std::uint32_t argument = 0;
  std::uint32_t value = 0;  // kIfEqual, kIfAtLeast
};

// The files of a place belong to the guest's own uid: what keeps it from writing to the toolchain
// that others share is the mode.
constexpr Rule kModeRules[] = {{SYS_chmod},    {SYS_fchmod},    {SYS_fchmodat},  {kFchmodat2},
                               {SYS_setxattr}, {SYS_lsetxattr}, {SYS_fsetxattr}, {kSetxattrat}};

constexpr std::uint32_t kSetOwner = 8;     // F_SETOWN
constexpr std::uint32_t kSetSignal = 10;   // F_SETSIG
constexpr std::uint32_t kSetOwnerEx = 15;  // F_SETOWN_EX
constexpr std::uint32_t kFileSetOwner = 0x8901;
constexpr std::uint32_t kSocketSetGroup = 0x8902;

constexpr std::uint32_t kNegative = 1u << 31;
constexpr std::uint32_t kEveryone = ~0u;  // -1

// Init is of the guest's own uid, and a sentry protects pid 1 from nothing.
constexpr Rule kInitRules[] = {
    {SYS_kill, Refuse::kIfEqual, 0, 1},
    {SYS_tkill, Refuse::kIfEqual, 0, 1},
    {SYS_tgkill, Refuse::kIfEqual, 0, 1},
    {SYS_rt_sigqueueinfo, Refuse::kIfEqual, 0, 1},
    {SYS_rt_tgsigqueueinfo, Refuse::kIfEqual, 0, 1},
    {SYS_prlimit64, Refuse::kIfEqual, 0, 1},
    {SYS_sched_setaffinity, Refuse::kIfEqual, 0, 1},
    {SYS_setpriority, Refuse::kIfEqual, 1, 1},
    {SYS_setpriority, Refuse::kIfAtLeast, 2, kNegative},  // it lets everybody be less nice
    {SYS_pidfd_open, Refuse::kIfEqual, 0, 1},
    {SYS_fcntl, Refuse::kIfEqual, 1, kSetOwner},
    {SYS_fcntl, Refuse::kIfEqual, 1, kSetSignal},
    {SYS_fcntl, Refuse::kIfEqual, 1, kSetOwnerEx},
    {SYS_ioctl, Refuse::kIfEqual, 1, kFileSetOwner},
    {SYS_ioctl, Refuse::kIfEqual, 1, kSocketSetGroup},
};

// There is no network namespace, and no ipc namespace, and other processes have pids.
constexpr Rule kProcessRules[] = {
    {SYS_socket},
    {SYS_shmget},
    {SYS_semget},
    {SYS_msgget},
    {SYS_mq_open},
    {SYS_mq_unlink},
    {SYS_prlimit64, Refuse::kUnlessZero},
    {SYS_sched_setaffinity, Refuse::kUnlessZero},
    {SYS_sched_setscheduler, Refuse::kUnlessZero},
    {SYS_sched_setparam, Refuse::kUnlessZero},
    {SYS_sched_setattr, Refuse::kUnlessZero},
    {SYS_kill, Refuse::kIfEqual, 0, kEveryone},
    {SYS_fcntl, Refuse::kIfEqual, 1, kSetOwner},
    {SYS_fcntl, Refuse::kIfEqual, 1, kSetSignal},
    {SYS_fcntl, Refuse::kIfEqual, 1, kSetOwnerEx},
    {SYS_ioctl, Refuse::kIfEqual, 1, kFileSetOwner},
    {SYS_ioctl, Refuse::kIfEqual, 1, kSocketSetGroup},
    {SYS_setpriority, Refuse::kUnlessZero, 1},
    {SYS_ioprio_set, Refuse::kUnlessZero, 1},
};

// Of a container: init and airlock-link, which is pid 1, have the guest's user. `value` stands for
// the pid of either.
constexpr Rule kLinkRules[] = {
    {SYS_kill, Refuse::kIfEqual, 0},
    {SYS_tkill, Refuse::kIfEqual, 0},
    {SYS_tgkill, Refuse::kIfEqual, 0},
    {SYS_rt_sigqueueinfo, Refuse::kIfEqual, 0},
    {SYS_rt_tgsigqueueinfo, Refuse::kIfEqual, 0},
    {SYS_prlimit64, Refuse::kIfEqual, 0},
    {SYS_sched_setaffinity, Refuse::kIfEqual, 0},
    {SYS_sched_setscheduler, Refuse::kIfEqual, 0},
    {SYS_sched_setparam, Refuse::kIfEqual, 0},
    {SYS_sched_setattr, Refuse::kIfEqual, 0},
    {SYS_setpriority, Refuse::kIfEqual, 1},
    {SYS_ioprio_set, Refuse::kIfEqual, 1},
    {SYS_pidfd_open, Refuse::kIfEqual, 0},
};
constexpr Rule kContainerRules[] = {
    {SYS_kill, Refuse::kIfEqual, 0, kEveryone},
    {SYS_setpriority, Refuse::kIfAtLeast, 2, kNegative},
    {SYS_fcntl, Refuse::kIfEqual, 1, kSetOwner},
    {SYS_fcntl, Refuse::kIfEqual, 1, kSetSignal},
    {SYS_fcntl, Refuse::kIfEqual, 1, kSetOwnerEx},
    {SYS_ioctl, Refuse::kIfEqual, 1, kFileSetOwner},
    {SYS_ioctl, Refuse::kIfEqual, 1, kSocketSetGroup},
};
constexpr Rule kPidfdRules[] = {{SYS_pidfd_send_signal}};
constexpr std::uint32_t kLinkPid = 1;

// Where Landlock does not keep signals inside.
constexpr Rule kSignalRules[] = {
    {SYS_kill, Refuse::kUnlessSelf},   {SYS_tkill, Refuse::kUnlessSelf},
    {SYS_tgkill, Refuse::kUnlessSelf}, {SYS_rt_sigqueueinfo},
    {SYS_rt_tgsigqueueinfo},           {SYS_pidfd_send_signal},
};
constexpr int kLandlockWithSignals = 6;

class Filter {
 public:
  Filter() {
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);  // the profile's filter ends such a caller
    load_number();
  }

  void add(std::span<const Rule> rules, std::uint32_t self) {
    for (const Rule& rule : rules) add(rule, self);
  }

  // The rules that name a process, for `pid`.
  void add_for(std::span<const Rule> rules, std::uint32_t pid) {
    for (Rule rule : rules) {
      rule.value = pid;
      add(rule, 0);
    }
  }
  void refuse_signals_to_group(std::uint32_t pid) {
    add(Rule{SYS_kill, Refuse::kIfEqual, 0, 0u - pid}, 0);
  }

  int install() {
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const int result =
        sys::install_seccomp({std::span(code_, count_)}, sys::SeccompListener::kNone);
    return result < 0 ? -result : 0;
  }

 private:
  void add(std::uint16_t operation, std::uint32_t value, std::uint8_t yes = 0,
           std::uint8_t no = 0) {
    if (count_ < std::size(code_)) code_[count_++] = {operation, yes, no, value};
  }
  void load_number() { add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)); }
  void refuse() { add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM); }
  void load_argument(std::uint32_t number) {
    add(BPF_LD | BPF_W | BPF_ABS,
        static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 8 * number));
  }

  // The kernel, too, reads 32 bits of what is tested here.
  void add(const Rule& rule, std::uint32_t self) {
    constexpr std::uint16_t kJumpIfEqual = BPF_JMP | BPF_JEQ | BPF_K;
    switch (rule.refuse) {
      case Refuse::kAlways:
        add(kJumpIfEqual, rule.number, 0, 1);
        refuse();
        return;
      case Refuse::kUnlessZero:
      case Refuse::kUnlessSelf:
        add(kJumpIfEqual, rule.number, 0, 5);
        load_argument(rule.argument);
        add(kJumpIfEqual, 0, 2, 0);
        add(kJumpIfEqual, rule.refuse == Refuse::kUnlessSelf ? self : 0, 1, 0);
        refuse();
        load_number();
        return;
      case Refuse::kIfEqual:
      case Refuse::kIfAtLeast:
        add(kJumpIfEqual, rule.number, 0, 4);
        load_argument(rule.argument);
        add(BPF_JMP | BPF_K | (rule.refuse == Refuse::kIfEqual ? BPF_JEQ : BPF_JGE), rule.value, 0,
            1);
        refuse();
        load_number();
        return;
    }
  }

  sock_filter code_[320] = {};
  std::size_t count_ = 0;
};

}  // namespace

Mode mode() { return current_mode; }
bool has_network() { return born_in_network; }
std::uint32_t guest_uid() { return own_uid; }
std::uint32_t guest_gid() { return own_gid; }

void begin_mode(const long* stack) {
  if (stack[0] < 2) return;
  const std::string_view word = reinterpret_cast<const char*>(stack[2]);
  born_in_network = word == jail::kHasNetwork;
  if (born_in_network) return;
  current_mode = word == "nested"      ? Mode::kNested
                 : word == "container" ? Mode::kContainer
                                       : Mode::kProcess;
  fcntl(jail::kInitEndFd, F_SETFD, static_cast<long>(FD_CLOEXEC));
  own_uid = static_cast<std::uint32_t>(syscall(SYS_getuid));
  own_gid = static_cast<std::uint32_t>(syscall(SYS_getgid));
  if (current_mode != Mode::kNested) return;
  prctl(PR_SET_PDEATHSIG, static_cast<long>(SIGKILL), 0L, 0L, 0L);
  enter_namespaces();
}

void begin_lower_setup(SetupState* state) {
  umask(0);
  jail::Packet packet;
  const jail::ViewSetup& view = state->view = await<jail::ViewSetup>(state->view_bytes, &packet);
  const base::UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  require(null.valid(), Stage::kStdio);
  if (mode() == Mode::kNested) {
    raise_loopback();  // a sentry has it up, and says so by an error
    require(set_host_name(), Stage::kNetwork);
    take_identity(view, kLowerCapabilities);
    change_nested_root(view);
  } else {
    // What a guest leaves behind becomes a child of ours, or in a container one of pid 1.
    if (mode() == Mode::kContainer) {
      sys::claim_all_processes();
    } else {
      require(prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) == 0, Stage::kIdentity);
    }
    require(prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) == 0, Stage::kIdentity);
    require(sys::can_list_processes(), Stage::kMountProc);
    require(chdir(view.skeleton.data()) == 0, Stage::kMountRoot);
  }
  take_streams(null.get());
  state->workspace = await<jail::WorkspaceSetup>(state->workspace_bytes, &packet);
  if (mode() == Mode::kNested) empty_bounding_set();
}

void finish_lower_setup(SetupState* /*state*/) {
  const base::UniqueFd whole(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  require(whole.valid(), Stage::kMountWorkspace);
  require(call(SYS_dup3, whole.get(), kWorkspaceFd, O_CLOEXEC), Stage::kMountWorkspace);
  if (mode() == Mode::kContainer) {
    container_space = open(jail::kWorkspacePart, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(container_space >= 0, Stage::kMountWorkspace);
  }
  if (mode() == Mode::kNested) set_capabilities(jail::kInitCapabilities);
}

int space_fd() { return mode() == Mode::kContainer ? container_space : kWorkspaceFd; }

int make_lower_ruleset(int abi, sys::LandlockOutcome* outcome) {
  using enum sys::LandlockRights;
  constexpr const char* kSeen[] = {"/etc", "/usr",   "/bin",   "/sbin",
                                   "/lib", "/lib64", "/lib32", "/opt"};
  constexpr const char* kOwn[] = {"workspace", "tmp", "output", "dev/shm", jail::kBuildPart};
  sys::LandlockTree trees[32];
  std::size_t count = 0;
  if (mode() == Mode::kContainer) {
    trees[count++] = {.path = "/", .rights = kReadExecute};
    trees[count++] = {.path = "/proc", .rights = kReadWrite, .optional = true};
    trees[count++] = {.path = "/dev/pts", .rights = kDevices, .optional = true};
  } else {
    for (const char* path : kSeen) {
      trees[count++] = {.path = path, .rights = kReadExecute, .optional = true};
    }
  }
  for (const jail::BindEntry& entry : jail::host_devices()) {
    if (count + 8 < std::size(trees)) {
      trees[count++] = {.path = entry.path, .rights = kDevices, .optional = true};
    }
  }
  // We are in the place of the slot.
  for (const char* path : kOwn) trees[count++] = {.path = path, .rights = kReadWriteExecute};
  trees[count++] = {.path = "input", .rights = kReadExecute};
  return sys::make_landlock_ruleset(abi, std::span(trees, count), sys::LandlockScope::kConfined,
                                    outcome);
}

int install_lower_filter(int landlock_abi) {
  Filter filter;
  const auto self = static_cast<std::uint32_t>(syscall(SYS_getpid));
  if (mode() == Mode::kNested) {
    filter.add(kModeRules, self);
    filter.add(kInitRules, self);
  } else if (mode() == Mode::kContainer) {
    const auto init = static_cast<std::uint32_t>(syscall(SYS_getppid));
    for (const std::uint32_t pid : {kLinkPid, init}) {
      filter.add_for(kLinkRules, pid);
      filter.refuse_signals_to_group(pid);
    }
    filter.add(kContainerRules, self);
    // A folder of /proc is as good as what pidfd_open gives.
    if (landlock_abi < kLandlockWithSignals) filter.add(kPidfdRules, self);
  } else {
    filter.add(kProcessRules, self);
    if (landlock_abi < kLandlockWithSignals) filter.add(kSignalRules, self);
  }
  return filter.install();
}

void signal_everyone(int number) {
  if (mode() != Mode::kNested && mode() != Mode::kFull) {
    sys::signal_descendants(number);
    return;
  }
  // Stopped processes start no others, and still count for the limit of those that would.
  if (number == SIGKILL) {
    for (int round = 0; round < kStopRounds && kill(-1, SIGSTOP) == 0; ++round) {}
  }
  kill(-1, number);
}

std::uint32_t end_everyone() {
  if (mode() != Mode::kNested && mode() != Mode::kFull) {
    sys::end_descendants();
    return 0;
  }
  // Whoever lost its parent is our child, so that without one nobody is left; to look for them the
  // kernel would go through all processes of the host.
  if (wait4(-1, nullptr, WNOHANG | __WALL, nullptr) >= 0) signal_everyone(SIGKILL);
  std::uint32_t ended = 0;
  for (int pid = 0; (pid = wait4(-1, nullptr, __WALL, nullptr)) > 0 || errno == EINTR;) {
    if (pid > 0) ++ended;
  }
  return ended;
}

}  // namespace airlock::init
