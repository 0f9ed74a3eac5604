// What a keeper watches while programs run: deadlines, what processes and their callers say.
#include <poll.h>
#include <sys/socket.h>
#include <algorithm>
#include <cerrno>
#include <csignal>

#include "jail/keeper.h"
#include "jail/test_hooks.h"

namespace airlock::jail {
namespace {

constexpr std::uint64_t kDiskCheckNs = 100'000'000;
// As fill_poll_set() lays them out.
constexpr std::size_t kFixedFds = 3;
constexpr std::size_t kOwnFds = 4;
constexpr std::size_t kFdsPerProcess = kOwnFds + LogWriter::kStreams;

}  // namespace

void Keeper::kill_tree(GuestProcess* process) {
  if (sandbox_->pid < 0) return;
  if (process->group() != nullptr && !in_container()) {
    process->group()->kill_all(sandbox_->pid);
  } else {
    send_message(sandbox_->channel.get(),
                 InitSignal{.id = process->id(),
                            .number = SIGKILL,
                            .everyone = !in_container() || is_alone(*process)},
                 {}, MSG_DONTWAIT);
  }
}

void Keeper::serve_process(GuestProcess* process) {
  char buffer[256];
  Packet packet;
  const ReceiveStatus status = receive_packet(process->channel_fd(), buffer, MSG_DONTWAIT, &packet);
  if (status == ReceiveStatus::kWouldBlock) return;
  Signal signal;
  Terminate terminate;
  Kill kill_request;
  if (status == ReceiveStatus::kPacket && decode(packet.bytes, &signal)) {
    send_message(sandbox_->channel.get(), InitSignal{.id = process->id(), .number = signal.number},
                 {}, MSG_DONTWAIT);
  } else if (status == ReceiveStatus::kPacket && decode(packet.bytes, &terminate)) {
    process->set_cause(static_cast<KillCause>(terminate.reason));
    process->terminate_at(monotonic_ns() +
                          std::min(terminate.grace_ms, kTimeLimitMsMax) * 1'000'000);
    if (process->group() != nullptr && !in_container()) {
      process->group()->signal_all(SIGTERM);
    } else {
      send_message(sandbox_->channel.get(),
                   InitSignal{.id = process->id(),
                              .number = SIGTERM,
                              .everyone = !in_container() || is_alone(*process)},
                   {}, MSG_DONTWAIT);
    }
  } else if (status == ReceiveStatus::kPacket && decode(packet.bytes, &kill_request)) {
    const auto cause = static_cast<KillCause>(kill_request.reason);
    if (cause == KillCause::kOutputLimit && switched_off("output")) return;
    process->set_cause(cause);
    process->terminate_at(1);
  } else if (!process->tag().empty()) {
    process->drop_channel();  // until somebody adopts it
  } else {
    // Nobody listens any more, or what was said makes no sense.
    process->drop_channel();
    process->set_cause(KillCause::kCancelled);
    process->terminate_at(1);
  }
}

void Keeper::check_deadlines() {
  if (sandbox_ == nullptr) return;
  const std::uint64_t now = monotonic_ns();
  bool disk_full = false;
  std::uint64_t memory_bytes = 0;
  if (disk_is_watched() && now >= next_disk_check_ns_) {
    disk_full = store_->over_limit();
    if (host_.lower != nullptr) memory_bytes = host_.lower->memory_bytes(sandbox_->pid);
    next_disk_check_ns_ = monotonic_ns() + kDiskCheckNs;
  }
  for (const auto& process : sandbox_->processes) {
    if (process->ended()) continue;
    if (disk_full) process->set_cause(KillCause::kDisk);
    if (memory_bytes > process->memory_bytes()) process->set_cause(KillCause::kMemory);
    if (process->check_limits(now)) kill_tree(process.get());
    // A tree that does not end has an init that hangs: the kernel ends them all with it.
    if (process->overdue(now) && sandbox_->pid > 0) signal_init(SIGKILL);
  }
}

int Keeper::poll_timeout_ms() const {
  std::uint64_t next = orphan_deadline_ns().value_or(UINT64_MAX);
  bool alive = false;
  if (sandbox_ != nullptr) {
    for (const auto& process : sandbox_->processes) {
      alive |= !process->ended();
      next = std::min(next, process->next_check_ns().value_or(UINT64_MAX));
    }
  }
  if (alive && disk_is_watched()) next = std::min(next, next_disk_check_ns_);
  if (next == UINT64_MAX) return -1;
  const std::uint64_t now = monotonic_ns();
  // A deadline in the past means that a kill is under way: look again soon, not at once.
  if (next <= now) return 1;
  return static_cast<int>(std::min<std::uint64_t>((next - now) / 1'000'000 + 1, 60'000));
}

// Every round: the caller, init, who wants to be the caller, and the descriptors of each process.
void Keeper::fill_poll_set(std::vector<pollfd>* set) {
  set->clear();
  set->push_back({caller_.get(), static_cast<short>(busy() ? POLLRDHUP : POLLIN), 0});
  const bool alive = sandbox_ != nullptr && sandbox_->pid > 0;
  set->push_back({alive ? sandbox_->channel.get() : -1, POLLIN, 0});
  set->push_back({listener_fd(), POLLIN, 0});
  if (sandbox_ == nullptr) return;
  for (const auto& process : sandbox_->processes) {
    const bool open = !process->ended();
    set->push_back({open ? process->channel_fd() : -1, POLLIN, 0});
    set->push_back({open ? process->handshake_fd() : -1, POLLIN, 0});
    set->push_back({open ? process->listener_fd() : -1, POLLIN, 0});
    const sys::Cgroup* group = open ? process->group() : nullptr;
    set->push_back({group != nullptr ? group->oom_event_fd() : -1,
                    group != nullptr ? group->oom_event_mask() : short{0}, 0});
    for (std::size_t stream = 0; stream < LogWriter::kStreams; ++stream) {
      const bool logs = open && process->log().has_value();
      set->push_back({logs ? process->log()->poll_fd(stream) : -1, POLLIN, 0});
    }
  }
}

// What became of the descriptors of one process, in the order of fill_poll_set().
void Keeper::serve_events(GuestProcess* process, const pollfd* fds) {
  if (fds[1].revents != 0) process->on_handshake();
  if ((fds[2].revents & POLLIN) != 0) {
    process->on_notification(*sandbox_->profile);
  } else if (fds[2].revents != 0) {
    process->drop_listener();  // no process is left that could call
  }
  if (fds[3].revents != 0) process->on_memory_event();
  for (std::size_t stream = 0; stream < LogWriter::kStreams; ++stream) {
    if (fds[kOwnFds + stream].revents != 0) process->log()->read_some(stream);
  }
  if (fds[0].revents != 0) serve_process(process);
}

int Keeper::run() {
  std::vector<pollfd> set;
  while (true) {
    check_orphan();
    if (ended_) break;
    fill_poll_set(&set);
    if (poll(set.data(), set.size(), poll_timeout_ms()) < 0 && errno != EINTR) return 1;
    // What processes report comes before what init says of their end.
    const std::size_t count = sandbox_ != nullptr ? sandbox_->processes.size() : 0;
    for (std::size_t i = 0; i < count && kFixedFds + kFdsPerProcess * (i + 1) <= set.size(); ++i) {
      serve_events(sandbox_->processes[i].get(), &set[kFixedFds + kFdsPerProcess * i]);
    }
    if (set[1].revents != 0) serve_init();
    check_deadlines();
    if (ended_) break;
    if (set[2].revents != 0) {
      serve_listener();  // there may be another caller now
    } else if (caller_.valid() || durable_ == nullptr) {
      const bool gone = busy() ? (set[0].revents & (POLLRDHUP | POLLHUP)) != 0 : !serve_caller();
      if (gone && !lose_caller()) break;
    }
  }
  leave_folder();
  return 0;
}

}  // namespace airlock::jail
