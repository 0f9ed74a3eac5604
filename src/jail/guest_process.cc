#include "jail/guest_process.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>

#include "jail/channel.h"
#include "jail/test_hooks.h"

namespace airlock::jail {
namespace {

// CPU time is looked at when it could have been used up at the earliest: all cores busy.
constexpr std::uint64_t kCpuCheckMinNs = 2'000'000;
constexpr int kHandshakesMax = 3;  // started, failed, closed

std::uint64_t cores() {
  static const auto count = static_cast<std::uint64_t>(std::max(1l, sysconf(_SC_NPROCESSORS_ONLN)));
  return count;
}

}  // namespace

std::uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

GuestProcess::GuestProcess(std::string_view tag, const Exec& request, base::UniqueFd channel,
                           base::UniqueFd handshake, std::shared_ptr<sys::Cgroup> group)
    : id_(request.id),
      last_(request.last),
      wall_ns_(request.wall_ms * 1'000'000),
      cpu_ns_(request.cpu_ms * 1'000'000),
      memory_bytes_(request.memory_bytes),
      channel_(std::move(channel)),
      handshake_(std::move(handshake)),
      group_(std::move(group)),
      accepted_ns_(monotonic_ns()),
      tag_(tag) {}

void GuestProcess::set_cause(KillCause cause) {
  if (cause_ == KillCause::kNone) cause_ = cause;
}

void GuestProcess::set_failure(Stage stage, int error) {
  if (failure_.stage == Stage::kNone) failure_ = {stage, error};
  handshake_.reset();
}

void GuestProcess::send_terminal(int fd) {
  const int fds[] = {fd};
  if (channel_.valid()) send_message(channel_.get(), Terminal{.id = id_}, fds, MSG_DONTWAIT);
}

void GuestProcess::on_handshake() {
  char buffer[256];
  Packet packet;
  const ReceiveStatus status = receive_packet(handshake_.get(), buffer, MSG_DONTWAIT, &packet);
  if (status == ReceiveStatus::kWouldBlock) return;
  Starting starting;
  StartFailed failed;
  // Once: in a container somebody else may say it again, and move every deadline.
  if (status == ReceiveStatus::kPacket && started_ns_ == 0 && decode(packet.bytes, &starting)) {
    started_ns_ = starting.monotonic_ns;
    former_group_.reset();
    listener_ = std::move(packet.fds[0]);
    if (group_ != nullptr) cpu_baseline_ns_ = group_->cpu_ns().value_or(0);
    if (group_ != nullptr) memory_event_at_ns_ = started_ns_ + kMemoryEventDelayNs;
    next_cpu_check_ns_ = started_ns_ + std::max(cpu_ns_ / cores(), kCpuCheckMinNs);
    return;  // exec may still fail
  }
  if (status == ReceiveStatus::kPacket && decode(packet.bytes, &failed)) {
    set_failure(static_cast<Stage>(failed.stage), failed.stage_errno);
  }
  // Closed: exec has happened, or the process died on its way; then init reports its end.
  handshake_.reset();
}

void GuestProcess::read_handshakes() {
  for (int i = 0; i < kHandshakesMax && handshake_.valid(); ++i) on_handshake();
}

void GuestProcess::record_denial(std::uint16_t entry) {
  for (std::uint32_t i = 0; i < denied_count_; ++i) {
    if (denied_[i].entry != entry) continue;
    ++denied_[i].count;
    return;
  }
  if (denied_count_ < kDeniedCallsMax) denied_[denied_count_++] = {entry, 1};
}

void GuestProcess::on_notification(const sys::SeccompProfile& profile) {
  sys::SeccompNotification call;
  const int status = sys::receive_notification(listener_.get(), &call);
  if (status == -ENOENT || status == -EINTR) return;
  if (status != 0) {
    listener_.reset();
    return;
  }
  const sys::DenialEntry* const entry = sys::find_denial(profile, call);
  const bool recorded = notifications_++ < kNotificationsMax;
  if (!recorded && notifications_ % kNotificationsPerPause == 0) {
    listens_again_ns_ = monotonic_ns() + kNotificationPauseNs;
  }
  if (entry != nullptr && entry->told) {
    asked_for_internet_ = true;
    sys::continue_notification(listener_.get(), call.id);
    return;
  }
  if (sys::is_foreign_call(call)) {
    record_denial(kForeignCall);
    set_cause(KillCause::kPolicy);
  } else if (entry != nullptr && recorded) {
    record_denial(static_cast<std::uint16_t>(entry - profile.denials.data()));
  }
  sys::answer_notification(listener_.get(), call.id, EPERM);
}

void GuestProcess::on_memory_event() {
  group_->acknowledge_oom_event();
  memory_watch_until_ns_ = monotonic_ns() + kMemoryWatchNs;
}

void GuestProcess::on_exited(const InitExited& exited) {
  exited_ = exited;
  ended_ = true;
}

bool GuestProcess::end_by_force() {
  if (cause_ == KillCause::kNone || started_ns_ == 0) return false;
  InitExited killed;
  killed.wait_status = SIGKILL;
  killed.monotonic_ns = monotonic_ns();
  on_exited(killed);
  return true;
}

std::optional<std::uint64_t> GuestProcess::next_check_ns() const {
  if (ended_) return std::nullopt;
  std::uint64_t next = UINT64_MAX;
  if (starting()) next = accepted_ns_ + kSetupTimeoutNs;
  if (started_ns_ != 0) next = std::min(next, started_ns_ + wall_ns_);
  if (next_cpu_check_ns_ != 0) next = std::min(next, next_cpu_check_ns_);
  if (kill_at_ns_ != 0) next = std::min(next, kill_at_ns_);
  if (memory_event_at_ns_ != 0) next = std::min(next, memory_event_at_ns_);
  if (listens_again_ns_ > monotonic_ns()) next = std::min(next, listens_again_ns_);
  if (memory_watch_until_ns_ != 0) next = std::min(next, monotonic_ns() + kMemoryWatchStepNs);
  if (log_.has_value()) next = std::min(next, log_->next_check_ns().value_or(UINT64_MAX));
  return next;
}

bool GuestProcess::over_cpu_time(std::uint64_t now_ns) {
  if (next_cpu_check_ns_ == 0 || now_ns < next_cpu_check_ns_) return false;
  const auto total = group_ != nullptr ? group_->cpu_ns() : std::nullopt;
  if (!total.has_value()) {
    next_cpu_check_ns_ = 0;  // RLIMIT_CPU is all there is
    return false;
  }
  const std::uint64_t used = *total - std::min(*total, cpu_baseline_ns_);
  if (used >= cpu_ns_) return true;
  next_cpu_check_ns_ = now_ns + std::max((cpu_ns_ - used) / cores(), kCpuCheckMinNs);
  return false;
}

bool GuestProcess::overdue(std::uint64_t now_ns) const {
  return !ended_ && killed_ns_ != 0 && now_ns > killed_ns_ + kKillTimeoutNs;
}

bool GuestProcess::check_limits(std::uint64_t now_ns) {
  const bool due = !ended_ && find_limit(now_ns);
  if (due && killed_ns_ == 0) killed_ns_ = now_ns;
  return due;
}

void GuestProcess::watch_memory(std::uint64_t now_ns) {
  if (memory_event_at_ns_ != 0 && now_ns >= memory_event_at_ns_) {
    memory_event_at_ns_ = 0;
    group_->watch_oom();
    memory_watch_until_ns_ = now_ns + kMissedEventNs;  // what came before we listened
  }
  if (memory_watch_until_ns_ == 0) return;
  if (group_->oom_kills() > 0) set_cause(KillCause::kMemory);
  if (now_ns >= memory_watch_until_ns_) memory_watch_until_ns_ = 0;
}

bool GuestProcess::find_limit(std::uint64_t now_ns) {
  if (starting() && now_ns >= accepted_ns_ + kSetupTimeoutNs) {
    set_failure(Stage::kTimeout, ETIMEDOUT);
    kill_at_ns_ = 1;
    return true;
  }
  if (group_ != nullptr && !switched_off("oom_watch")) watch_memory(now_ns);
  if (!switched_off("cpu") && over_cpu_time(now_ns)) set_cause(KillCause::kCpuTime);
  const bool over_wall_time = started_ns_ != 0 && now_ns >= started_ns_ + wall_ns_;
  if (over_wall_time && !switched_off("wall")) set_cause(KillCause::kWallTime);
  if (kill_at_ns_ != 0) return now_ns >= kill_at_ns_;  // a cause was set when the grace began
  return cause_ != KillCause::kNone;
}

void GuestProcess::add_group_usage(Report* report) const {
  if (group_ == nullptr) return;
  const sys::CgroupUsage usage = group_->usage();
  report->oom_kills = switched_off("oom_watch") ? 0 : usage.oom_kills;
  report->pids_denied = usage.pids_denied;
  if (usage.memory_peak_bytes.has_value()) {
    report->memory_peak_bytes = *usage.memory_peak_bytes;
  } else {
    report->missing |= kLacksMemoryPeak;
  }
  if (usage.pids_peak.has_value()) {
    report->pids_peak = *usage.pids_peak - std::min<std::uint64_t>(*usage.pids_peak, 1);  // init
  } else {
    report->missing |= kLacksPidsPeak;
  }
  if (!usage.cpu_ns.has_value() || started_ns_ == 0) return;
  // The split follows what was waited for; the sum is what the limit is measured against.
  const std::uint64_t total_us =
      (*usage.cpu_ns - std::min(*usage.cpu_ns, cpu_baseline_ns_)) / 1'000;
  const std::uint64_t user = report->user_us;
  const std::uint64_t both = user + report->system_us;
  report->user_us =
      both == 0
          ? total_us
          : static_cast<std::uint64_t>(static_cast<double>(total_us) *
                                       (static_cast<double>(user) / static_cast<double>(both)));
  report->system_us = total_us - report->user_us;
}

Report GuestProcess::make_report(sys::CgroupKind kind, std::uint32_t missing, bool rootless) {
  ended_ = true;
  Report report;
  report.cgroup_kind = static_cast<std::uint8_t>(kind);
  report.missing = missing;
  report.rootless = rootless;
  report.started_us = started_ns_ / 1'000;
  if (exited_.has_value()) {
    report.has_exit_status = true;
    report.wait_status = exited_->wait_status;
    report.user_us = exited_->user_us;
    report.system_us = exited_->system_us;
    report.memory_peak_bytes = exited_->memory_peak_bytes;
    report.disk_full = exited_->disk_full;
    report.inodes_full = exited_->inodes_full;
    report.processes_killed = exited_->processes_killed;
    if (started_ns_ != 0) report.wall_us = (exited_->monotonic_ns - started_ns_) / 1'000;
    // The last wall before cgroups: the kernel's own RLIMIT_CPU, a second later than ours.
    const int signal = WIFSIGNALED(exited_->wait_status) ? WTERMSIG(exited_->wait_status) : 0;
    if ((signal == SIGXCPU || signal == SIGKILL) &&
        (exited_->user_us + exited_->system_us) * 1'000 >= cpu_ns_) {
      set_cause(KillCause::kCpuTime);
    }
  }
  add_group_usage(&report);
  // An init that died with its guests when memory ran out is the guest's doing.
  if (report.oom_kills > 0 && failure_.stage == Stage::kInit) failure_ = {};
  report.stage = static_cast<std::uint16_t>(failure_.stage);
  report.stage_errno = failure_.os_errno;
  report.kill_reason = static_cast<std::uint8_t>(cause_);
  if (log_.has_value()) {
    log_->drain();
    report.has_log = true;
    report.log = log_->counts();
  }
  report.denied_count = denied_count_;
  std::copy_n(denied_, denied_count_, report.denied);
  return report;
}

void GuestProcess::send_report(const Report& report) {
  // Never waiting: a caller that does not read must not stop the limits of its other processes.
  if (channel_.valid()) send_message(channel_.get(), report, {}, MSG_DONTWAIT);
  channel_.reset();
}

}  // namespace airlock::jail
