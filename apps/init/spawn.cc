#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <ctime>

#include "apps/init/init.h"
#include "apps/init/lower.h"
#include "sys/landlock.h"
#include "sys/seccomp.h"

namespace airlock::init {
namespace {

using jail::Stage;

constexpr int kFirstFreeFd = 10;
constexpr int kStdioFds = 3;
constexpr int kDescriptorsLooked = 256;  // init has a dozen
constexpr std::size_t kPathMax = 4096;
constexpr std::uint64_t kStackBytes = 8u << 20;
constexpr std::uint64_t kPendingSignalsMax = 1'024;  // the kernel counts them for the creator too
constexpr const char* kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

// Static, because init has no heap and its stack is small.
char packet_buffer[jail::kMessageBytesMax + 256];
char* argv_words[jail::kListEntriesMax + 1];
char* environment_words[jail::kListEntriesMax + 1];

[[noreturn]] void fail(int handshake, Stage stage, int error) {
  jail::send_message(handshake, jail::StartFailed{static_cast<std::uint16_t>(stage), error});
  _exit(127);
}

void fill_words(const jail::StringList& list, char** words) {
  std::size_t count = 0;
  list.for_each([&](std::string_view word) { words[count++] = const_cast<char*>(word.data()); });
  words[count] = nullptr;
}

bool limit(__rlimit_resource_t resource, std::uint64_t soft, std::uint64_t hard) {
  const rlimit value = {soft, hard};
  return syscall(SYS_prlimit64, 0L, static_cast<long>(resource), &value, nullptr) == 0;
}

// Those that are the same for every process. A guest may not touch the one of core dumps.
bool set_fixed_limits() {
  // One byte, not none: the value with which the kernel also leaves out a core_pattern that is a
  // pipe to a program of the host (fs/coredump.c).
  const bool pending = limit(RLIMIT_SIGPENDING, kPendingSignalsMax, kPendingSignalsMax);
  return limit(RLIMIT_CORE, 1, 1) && limit(RLIMIT_STACK, kStackBytes, kStackBytes) &&
         (pending || mode() != Mode::kFull);  // a sentry has none at all
}

void set_limits(const jail::Exec& request, int handshake) {
  // The kernel's own CPU limit stands a second behind the keeper's, for hosts without cgroups.
  const std::uint64_t cpu_seconds = (request.cpu_ms + 999) / 1000 + 1;
  bool done = limit(RLIMIT_CPU, cpu_seconds, cpu_seconds + 1) &&
              limit(RLIMIT_NOFILE, request.open_files, request.open_files);
  if (request.use_rlimits) {
    // Not RLIMIT_AS: the runtimes of JavaScript, Go and Java reserve far more than they use.
    done = done && limit(RLIMIT_NPROC, request.pids, request.pids) &&
           (mode() == Mode::kContainer ||  // whose memory is the runtime's to limit
            limit(RLIMIT_DATA, request.memory_bytes, request.memory_bytes));
  }
  if (!done) fail(handshake, Stage::kLimits, errno);
}

// Nothing is left: no capability in any set, and the bounding set is empty already.
bool drop_privilege(const Settings& settings) {
  const bool cleared =
      prctl(PR_CAP_AMBIENT, static_cast<long>(PR_CAP_AMBIENT_CLEAR_ALL), 0L, 0L, 0L) == 0;
  if (!cleared && (mode() == Mode::kFull || errno != EINVAL)) return false;
  const long group = guest_gid();
  const long user = guest_uid();
  if (settings.can_set_groups && syscall(SYS_setgroups, 0L, nullptr) != 0) return false;
  if (syscall(SYS_setresgid, group, group, group) != 0) return false;
  if (syscall(SYS_setresuid, user, user, user) != 0) return false;
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  return syscall(SYS_capset, &header, none) == 0;
}

void take_stdio(const jail::Exec& request, const int (&fds)[kStdioFds], int handshake) {
  if (setsid() < 0) fail(handshake, Stage::kStdio, errno);
  if (request.terminal && ioctl(fds[0], TIOCSCTTY, 0L) != 0)
    fail(handshake, Stage::kTerminal, errno);
  for (int i = 0; i < kStdioFds; ++i) {
    if (dup2(fds[i], i) < 0) fail(handshake, Stage::kStdio, errno);
  }
}

// As execvp would: the name itself if it has a slash, else each directory of PATH.
int exec_program() {
  const char* const name = argv_words[0];
  const std::size_t name_size = std::string_view(name).size();
  if (std::string_view(name).find('/') != std::string_view::npos) {
    execve(name, argv_words, environment_words);
    return errno;
  }
  std::string_view path = kDefaultPath;
  for (char** word = environment_words; *word != nullptr; ++word) {
    const std::string_view text = *word;
    if (text.substr(0, 5) == "PATH=") path = text.substr(5);
  }
  int error = ENOENT;
  while (!path.empty()) {
    std::size_t end = path.find(':');
    if (end == std::string_view::npos) end = path.size();
    char candidate[kPathMax];
    if (end > 0 && end + name_size + 2 <= sizeof candidate) {
      __builtin_memcpy(candidate, path.data(), end);
      candidate[end] = '/';
      __builtin_memcpy(candidate + end + 1, name, name_size + 1);
      execve(candidate, argv_words, environment_words);
      if (errno != ENOENT && errno != ENOTDIR) error = errno;
    }
    path = path.substr(end < path.size() ? end + 1 : end);
  }
  return error;
}

int confine(int ruleset) { return ruleset >= 0 ? sys::enter_landlock(ruleset) : 0; }

struct GuestState {
  int listener = -1;
  jail::StageFailure failure;
};

constexpr int kSignalLast = 64;

// Everything that does not depend on the program.
GuestState become_guest(const Settings& settings) {
  if (const int error = confine(settings.landlock_ruleset); error != 0) {
    return {.failure = {Stage::kLandlock, error}};
  }
  for (int number = 1; number <= kSignalLast; ++number) reset_signal(number);
  const unsigned long no_signals = 0;
  syscall(SYS_rt_sigprocmask, static_cast<long>(SIG_SETMASK), &no_signals, nullptr, 8L);
  umask(022);
  if (!set_fixed_limits()) return {.failure = {Stage::kLimits, errno}};
  if (settings.cgroup_namespace && unshare(CLONE_NEWCGROUP) != 0) {
    return {.failure = {Stage::kCgroup, errno}};
  }
  if (!drop_privilege(settings)) return {.failure = {Stage::kCapabilities, errno}};
  if (mode() != Mode::kFull) {
    const int error = install_lower_filter(settings.landlock_abi);
    if (error != 0) return {.failure = {Stage::kSeccomp, error}};
  }
  const sys::SeccompProgram program = {{reinterpret_cast<const sock_filter*>(settings.seccomp),
                                        settings.seccomp_bytes / sizeof(sock_filter)}};
  const int listener =
      sys::install_seccomp(program, settings.seccomp_listener ? sys::SeccompListener::kWanted
                                                              : sys::SeccompListener::kNone);
  if (listener < 0) return {.failure = {Stage::kSeccomp, -listener}};
  return {.listener = settings.seccomp_listener ? listener : -1, .failure = {}};
}

// Whatever came in beside 0 to 2.
void close_others_on_exec() {
  if (syscall(SYS_close_range, static_cast<long>(kStdioFds), ~0ul >> 32,
              static_cast<long>(CLOSE_RANGE_CLOEXEC)) == 0) {
    return;
  }
  for (int fd = kStdioFds; fd < kDescriptorsLooked; ++fd) {
    fcntl(fd, F_SETFD, static_cast<long>(FD_CLOEXEC));
  }
}

// As the guest already: only what a guest may do as well.
[[noreturn]] void run_program(const jail::Exec& request, int handshake, const GuestState& state) {
  if (state.failure.stage != Stage::kNone) {
    fail(handshake, state.failure.stage, state.failure.os_errno);
  }
  set_limits(request, handshake);
  if (chdir(request.cwd.data()) != 0) fail(handshake, Stage::kWorkingDirectory, errno);
  close_others_on_exec();
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const jail::Starting starting{static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
                                static_cast<std::uint64_t>(now.tv_nsec)};
  const std::span<const int> passed(&state.listener, state.listener >= 0 ? 1 : 0);
  if (const int error = jail::send_message(handshake, starting, passed)) {
    fail(handshake, Stage::kSeccomp, error);
  }
  if (state.listener >= 0) close(state.listener);
  fail(handshake, Stage::kExec, exec_program());
}

// The channel, where a standby process keeps it.
constexpr int kStandbyFd = kFirstFreeFd;

[[noreturn]] void run_standby(const Settings& settings) {
  GuestState state = become_guest(settings);
  jail::Packet packet;
  jail::Confine confine_request;
  jail::Exec request;
  if (jail::receive_packet(kStandbyFd, packet_buffer, 0, &packet) != jail::ReceiveStatus::kPacket ||
      !jail::decode(packet.bytes, &confine_request)) {
    _exit(127);
  }
  const int error = packet.fd_count == 1 ? confine(packet.fds[0].get()) : 0;
  if (error != 0 && state.failure.stage == Stage::kNone) state.failure = {Stage::kLandlock, error};
  if (jail::receive_packet(kStandbyFd, packet_buffer, 0, &packet) != jail::ReceiveStatus::kPacket ||
      !jail::decode(packet.bytes, &request) || packet.fd_count != 1 + kStdioFds) {
    _exit(127);
  }
  int fds[1 + kStdioFds];
  for (int i = 0; i < 1 + kStdioFds; ++i) {
    fds[i] = fcntl(packet.fds[i].get(), F_DUPFD_CLOEXEC, static_cast<long>(kFirstFreeFd));
  }
  fill_words(request.argv, argv_words);
  fill_words(request.env, environment_words);
  take_stdio(request, {fds[1], fds[2], fds[3]}, fds[0]);
  run_program(request, fds[0], state);
}

// A pty of the sandbox's own devpts: the slave for the process, the master for the caller.
bool open_terminal(std::uint32_t id, int* slave) {
  const base::UniqueFd master(open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  const int unlocked = 0;
  if (!master.valid() || ioctl(master.get(), TIOCSPTLCK, &unlocked) != 0) return false;
  *slave = ioctl(master.get(), TIOCGPTPEER, static_cast<long>(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (*slave < 0 || fchown(*slave, kGuestId, kGuestId) != 0) return false;
  const int fds[] = {master.get()};
  return jail::send_message(kChannelFd, jail::Terminal{id}, fds) == 0;
}

}  // namespace

void reset_signal(int number) {
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    unsigned long mask;
  } const fallback{};
  syscall(SYS_rt_sigaction, static_cast<long>(number), &fallback, nullptr, 8L);
}

int start_process(const Settings& settings, const jail::Exec& request, jail::Packet* packet) {
  const int handshake = packet->fds[0].get();
  base::UniqueFd slave;
  if (request.terminal) {
    int fd = -1;
    const bool opened = open_terminal(request.id, &fd);
    const int error = errno;
    slave.reset(fd);
    if (!opened) {
      jail::send_message(handshake,
                         jail::StartFailed{static_cast<std::uint16_t>(Stage::kTerminal), error});
      return -1;
    }
  }
  fill_words(request.argv, argv_words);
  fill_words(request.env, environment_words);
  const int pid = fork();
  if (pid < 0) {
    jail::send_message(handshake,
                       jail::StartFailed{static_cast<std::uint16_t>(Stage::kSpawn), errno});
    return -1;
  }
  if (pid > 0) return pid;
  const int own_handshake = fcntl(handshake, F_DUPFD_CLOEXEC, static_cast<long>(kFirstFreeFd));
  int stdio[kStdioFds];
  for (int i = 0; i < kStdioFds; ++i) {
    const int given = request.terminal ? slave.get() : packet->fds[i + 1].get();
    stdio[i] = fcntl(given, F_DUPFD_CLOEXEC, static_cast<long>(kFirstFreeFd));
  }
  take_stdio(request, stdio, own_handshake);
  run_program(request, own_handshake, become_guest(settings));
}

[[gnu::noinline]] void drop_unused_stack() {
  constexpr unsigned long kOurs = 1024;  // of this function and the call that it makes
  constexpr unsigned long kPageBytes = 4096;
  constexpr unsigned long kDepth = 64 * 1024;  // a stack is at least 128 KiB from the start
  const auto here = reinterpret_cast<unsigned long>(__builtin_frame_address(0));
  const unsigned long end = (here - kOurs) & ~(kPageBytes - 1);
  syscall(SYS_madvise, static_cast<long>(end - kDepth), static_cast<long>(kDepth),
          static_cast<long>(MADV_DONTNEED));
}

Standby start_standby(const Settings& settings) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return {};
  base::UniqueFd ours(pair[0]);
  const base::UniqueFd theirs(pair[1]);
  drop_unused_stack();  // or the process that waits would have a copy
  const int pid = fork();
  if (pid < 0) return {};
  if (pid > 0) { return {pid, ours.release()}; }
  ours.reset();
  if (fcntl(theirs.get(), F_DUPFD_CLOEXEC, static_cast<long>(kStandbyFd)) != kStandbyFd) {
    _exit(127);
  }
  run_standby(settings);
}

void drop_standby(Standby* standby) {
  if (standby->pid <= 0) return;
  kill(standby->pid, SIGKILL);
  wait4(standby->pid, nullptr, 0, nullptr);
  close(standby->channel);
  *standby = {};
}

int use_standby(Standby* standby, const Settings& settings, const jail::Packet& packet) {
  if (standby->pid <= 0) return -1;
  const int ruleset[] = {settings.landlock_ruleset};
  jail::send_message(standby->channel, jail::Confine{},
                     std::span<const int>(ruleset, ruleset[0] >= 0 ? 1 : 0));
  int fds[1 + kStdioFds];
  for (int i = 0; i < 1 + kStdioFds; ++i) fds[i] = packet.fds[i].get();
  if (jail::send_packet(standby->channel, packet.bytes, fds) != 0) {
    drop_standby(standby);
    return -1;
  }
  close(standby->channel);
  const int pid = standby->pid;
  *standby = {};
  return pid;
}

}  // namespace airlock::init
