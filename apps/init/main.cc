#include <fcntl.h>
#include <linux/magic.h>
#include <linux/prctl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <ctime>

#include "apps/init/init.h"
#include "apps/init/lower.h"
#include "sys/landlock.h"

namespace airlock::init {
namespace {

using jail::Stage;

constexpr int kProcessesMax = 64;
constexpr std::uint64_t kFullBelowBytes = 4'096;  // less than a page left: full
constexpr std::uint64_t kExt4FullBelowBytes = 512 * 1024;

struct Running {
  int pid = 0;
  std::uint32_t id = 0;
  bool last = false;
};

// Static, because init has no heap and its stack is small.
char packet_buffer[jail::kMessageBytesMax + 256];
char setup_buffer[64 * 1024];
Settings settings;
Standby standby;
Running running[kProcessesMax];
std::uint32_t missing;
int input_error;

int count_running() {
  int count = 0;
  for (const Running& entry : running) count += entry.pid != 0 ? 1 : 0;
  return count;
}

std::uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t microseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(time.tv_usec);
}

constexpr sys::LandlockTree kOwnTrees[] = {
    {.path = "/", .rights = sys::LandlockRights::kRead},
    {.path = "/dev", .rights = sys::LandlockRights::kDevices},
    {.path = "/proc", .rights = sys::LandlockRights::kReadWrite},
    {.path = "/input", .rights = sys::LandlockRights::kReadExecute},
    {.path = "/workspace", .rights = sys::LandlockRights::kReadWriteExecute},
    {.path = "/tmp", .rights = sys::LandlockRights::kReadWriteExecute},
    {.path = "/output", .rights = sys::LandlockRights::kReadWriteExecute},
    {.path = "/dev/shm", .rights = sys::LandlockRights::kReadWriteExecute},
    {.path = "/build", .rights = sys::LandlockRights::kReadWriteExecute},  // the last one
};
constexpr std::size_t kHostTreesMax = 16;  // /usr, and /bin and its like where they are no links

// Everything a guest may touch, once more as Landlock rules. Each process enters them by itself:
// init has to signal guests, which may not signal out of their domain.
int make_ruleset(int abi, const jail::ViewSetup& view, sys::LandlockOutcome* outcome) {
  sys::LandlockTree trees[std::size(kOwnTrees) + kHostTreesMax];
  std::size_t count = 0;
  for (const sys::LandlockTree& tree : kOwnTrees) trees[count++] = tree;
  if (view.has_layer) trees[count - 1].rights = sys::LandlockRights::kReadExecute;
  view.trees.for_each([&](std::string_view path) {
    if (count == std::size(trees)) return;  // one more of the host's folders cannot be executed
    trees[count++] = {.path = path.data(), .rights = sys::LandlockRights::kReadExecute};
  });
  return sys::make_landlock_ruleset(abi, std::span(trees, count), sys::LandlockScope::kConfined,
                                    outcome);
}

void take_core_cookie() {
  if (prctl(PR_SCHED_CORE, static_cast<long>(PR_SCHED_CORE_CREATE), 0L,
            static_cast<long>(PR_SCHED_CORE_SCOPE_THREAD_GROUP), 0L) == 0) {
    return;
  }
  // ENODEV: one thread per core, nothing to keep apart.
  if (errno != ENODEV) missing |= jail::kLacksCoreScheduling;
}

bool read_exec_setup(const jail::ViewSetup& view) {
  jail::Packet packet;
  jail::ExecSetup setup;
  if (jail::receive_packet(kChannelFd, setup_buffer, 0, &packet) != jail::ReceiveStatus::kPacket ||
      !jail::decode(packet.bytes, &setup)) {
    return false;
  }
  settings = {.seccomp_listener = setup.seccomp_listener,
              .cgroup_namespace = setup.cgroup_namespace,
              .can_set_groups = can_set_groups(view),
              .seccomp = setup.seccomp.data,
              .seccomp_bytes = setup.seccomp.size};
  return true;
}

// Until a process can be started. Its frame is large, and gone before we wait.
[[gnu::noinline]] bool make_sandbox() {
  SetupState state;
  const bool full = mode() == Mode::kFull;
  full ? begin_setup(&state) : begin_lower_setup(&state);
  take_core_cookie();  // which children inherit
  if (!read_exec_setup(state.view)) return false;
  if (full) standby = start_standby(settings);
  full ? finish_setup(&state) : finish_lower_setup(&state);
  jail::InitReady ready;
  ready.complete = true;
  const int abi = sys::landlock_abi();
  if (abi == 0) missing |= jail::kLacksLandlock;
  sys::LandlockOutcome outcome;
  if (abi != 0) {
    settings.landlock_ruleset = mode() == Mode::kProcess || mode() == Mode::kContainer
                                    ? make_lower_ruleset(abi, &outcome)
                                    : make_ruleset(abi, state.view, &outcome);
  }
  settings.landlock_abi = abi;
  if (outcome.error != 0) {
    ready.stage = static_cast<std::uint16_t>(Stage::kLandlock);
    ready.stage_errno = outcome.error;
  }
  ready.missing = missing;
  return jail::send_message(kChannelFd, ready) == 0 && ready.stage == 0;
}

void report_end(std::uint32_t id, int status, const rusage& usage) {
  jail::InitExited exited;
  exited.id = id;
  exited.wait_status = status;
  exited.monotonic_ns = now_ns();
  exited.user_us = microseconds(usage.ru_utime);
  exited.system_us = microseconds(usage.ru_stime);
  exited.memory_peak_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  if (count_running() == 0) {
    // The main program has ended: what it left behind ends with it, before anyone is told.
    exited.processes_killed = end_everyone();
  }
  struct statfs space{};
  if (fstatfs(space_fd(), &space) == 0) {
    const auto block = static_cast<std::uint64_t>(space.f_bsize);
    // ext4 refuses a write while it still shows some blocks as free.
    const bool exact = space.f_type == TMPFS_MAGIC;
    const std::uint64_t full_below = exact ? kFullBelowBytes : kExt4FullBelowBytes;
    exited.disk_full = static_cast<std::uint64_t>(space.f_bavail) * block < full_below;
    exited.inodes_full = space.f_files != 0 && space.f_ffree == 0;
  }
  jail::send_message(kChannelFd, exited);
}

void reap() {
  int status = 0;
  rusage usage{};
  for (int pid = 0; (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;) {
    for (Running& entry : running) {
      if (entry.pid != pid) continue;
      entry.pid = 0;
      report_end(entry.id, status, usage);
      // The keeper has no more use for us: what the kernel has to tidy up begins now.
      if (entry.last) _exit(0);
    }
  }
}

void on_exec(const jail::Exec& request, jail::Packet* packet) {
  Running* slot = nullptr;
  for (Running& entry : running) {
    if (entry.pid == 0) slot = &entry;
  }
  const bool ahead = !request.terminal && packet->fd_count == 4 && input_error == 0;
  int pid = ahead && slot != nullptr ? use_standby(&standby, settings, *packet) : -1;
  drop_standby(&standby);  // its group is not that of later processes
  bool entered = true;
  for (std::size_t i = request.terminal ? 1 : 4; i < packet->fd_count; ++i) {
    entered = entered && write(packet->fds[i].get(), "0", 1) == 1;
  }
  if (pid > 0) {
    // already on its way
  } else if (!entered) {
    const jail::StartFailed failed{static_cast<std::uint16_t>(Stage::kCgroup), errno};
    jail::send_message(packet->fds[0].get(), failed);
  } else if (input_error != 0 || slot == nullptr) {
    jail::StartFailed failed{static_cast<std::uint16_t>(Stage::kInput), input_error};
    if (slot == nullptr) failed = {static_cast<std::uint16_t>(Stage::kSpawn), EAGAIN};
    jail::send_message(packet->fds[0].get(), failed);
  } else {
    pid = start_process(settings, request, packet);
  }
  input_error = 0;  // told once
  if (pid > 0) {
    *slot = {pid, request.id, request.last};
  } else {
    report_end(request.id, 127 << 8, rusage{});
  }
}

void on_signal(const jail::InitSignal& request) {
  if (request.everyone) {
    signal_everyone(request.number);
    return;
  }
  for (const Running& entry : running) {
    if (entry.pid == 0 || entry.id != request.id) continue;
    kill(entry.pid, request.number);
    // Beside others that run: what it has started, but for what left its process group.
    if (mode() == Mode::kContainer && request.number == SIGKILL) kill(-entry.pid, request.number);
  }
}

// False when the keeper is gone or speaks nonsense: then the sandbox ends with us.
bool serve() {
  jail::Packet packet;
  if (jail::receive_packet(kChannelFd, packet_buffer, 0, &packet) != jail::ReceiveStatus::kPacket) {
    return false;
  }
  jail::Exec exec;
  jail::Listen listen;
  jail::PutFile put;
  jail::Collect wanted;
  jail::InitSignal signal;
  jail::ReadTree tree;
  switch (jail::message_type(packet.bytes)) {
    case jail::MessageType::kExec:
      if (!jail::decode(packet.bytes, &exec)) return false;
      on_exec(exec, &packet);
      return true;
    case jail::MessageType::kListen:
      if (!jail::decode(packet.bytes, &listen)) return false;
      open_listener(listen);
      return true;
    case jail::MessageType::kPutFile:
      if (!jail::decode(packet.bytes, &put)) return false;
      if (const int error = put_file(put, packet.fds[0].get()); input_error == 0) {
        input_error = error;
      }
      jail::send_message(kChannelFd, jail::InitPutDone{});
      return true;
    case jail::MessageType::kCollect:
      if (!jail::decode(packet.bytes, &wanted)) return false;
      collect(wanted);
      return true;
    case jail::MessageType::kReadTree:
      if (!jail::decode(packet.bytes, &tree)) return false;
      read_tree(tree);
      return true;
    case jail::MessageType::kInitSignal:
      if (!jail::decode(packet.bytes, &signal)) return false;
      on_signal(signal);
      return true;
    default: return false;
  }
}

// A keeper that is gone leaves nobody else to end what has no pid namespace.
void end_with_keeper() {
  if (mode() == Mode::kProcess) end_everyone();
}

int run(const long* stack) {
  prctl(PR_SET_NAME, "airlock-init", 0L, 0L, 0L);
  begin_mode(stack);
  if (mode() == Mode::kFull) { prctl(PR_SET_PDEATHSIG, static_cast<long>(SIGKILL), 0L, 0L, 0L); }
  reserve_descriptors();
  reset_signal(SIGCHLD);  // ignored by our caller, the ends of our children would be lost
  unsigned long mask = 1ul << (SIGCHLD - 1);
  syscall(SYS_rt_sigprocmask, static_cast<long>(SIG_SETMASK), &mask, nullptr, 8L);
  const int children =
      static_cast<int>(syscall(SYS_signalfd4, -1L, &mask, 8L, static_cast<long>(SFD_CLOEXEC)));
  if (children < 0 || !make_sandbox()) return 1;
  drop_unused_stack();
  while (true) {
    pollfd set[] = {{kChannelFd, POLLIN, 0}, {children, POLLIN, 0}};
    if (poll(set, 2, -1) < 0 && errno != EINTR) return 1;
    if (set[1].revents != 0) {
      signalfd_siginfo ignored;
      if (read(children, &ignored, sizeof ignored) < 0) return 1;
      reap();
    }
    if (set[0].revents != 0 && !serve()) {
      end_with_keeper();
      return 0;
    }
  }
}

}  // namespace
}  // namespace airlock::init

// What runtime.cc starts.
extern "C" int airlock_init_main(const long* stack) { return airlock::init::run(stack); }
