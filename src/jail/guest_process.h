// GuestProcess: the keeper's side of one exec: its deadlines, what it was denied, and its report.
//
// Holds facts only; the keeper's loop moves it from starting to running to ended. Owned by the
// Sandbox whose cgroup it shares; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "jail/log_writer.h"
#include "jail/stage.h"
#include "jail/wire.h"
#include "sys/cgroup.h"
#include "sys/seccomp_profiles.h"

namespace airlock::jail {

// A program that is not running this long after its request was accepted has failed to start.
inline constexpr std::uint64_t kSetupTimeoutNs = 30'000'000'000;
// Reported system calls that are recorded, and answered as they come; from then on only so many in
// a millisecond, so that a guest cannot keep the keeper busy.
inline constexpr std::uint32_t kNotificationsMax = 1'000;
inline constexpr std::uint32_t kNotificationsPerPause = 10;
inline constexpr std::uint64_t kNotificationPauseNs = 1'000'000;

std::uint64_t monotonic_ns();

// model::KillReason, which this layer does not know; tests compare the two.
enum class KillCause : std::uint8_t {
  kNone = 0,
  kWallTime,
  kCpuTime,
  kOutputLimit,
  kCancelled,
  kMemory,
  kPolicy,
  kDisk,
};

class GuestProcess {
 public:
  GuestProcess(std::string_view tag, const Exec& request, base::UniqueFd channel,
               base::UniqueFd handshake, std::shared_ptr<sys::Cgroup> group);

  std::uint32_t id() const { return id_; }
  bool starting() const { return started_ns_ == 0 && handshake_.valid(); }
  bool ended() const { return ended_; }
  int channel_fd() const { return channel_.get(); }
  // Once started it has nothing to say but that its exec failed, and then its end comes as well.
  int handshake_fd() const { return starting() ? handshake_.get() : -1; }
  // Not while it pauses.
  int listener_fd() const { return listens_again_ns_ <= monotonic_ns() ? listener_.get() : -1; }
  // It may have made a socket that is not a unix socket.
  bool asked_for_internet() const { return asked_for_internet_; }
  sys::Cgroup* group() { return group_.get(); }
  // The group that init is in until this process has started; its end would end init.
  void keep_until_started(std::shared_ptr<sys::Cgroup> group) { former_group_ = std::move(group); }

  // The first cause is the one that is reported.
  void set_cause(KillCause cause);
  void set_failure(Stage stage, int error);
  void drop_channel() { channel_.reset(); }
  // Another caller's. The one before is closed.
  void take_channel(base::UniqueFd channel) { channel_ = std::move(channel); }
  // Under which its report is kept, and adopted; such a process does not end with its channel.
  std::string_view tag() const { return tag_; }
  std::optional<LogWriter>& log() { return log_; }
  void drop_listener() { listener_.reset(); }
  void send_terminal(int fd);

  // The new process said that it starts, or why it cannot; or its socket closed.
  void on_handshake();
  void read_handshakes();  // all that came
  void on_notification(const sys::SeccompProfile& profile);
  void on_exited(const InitExited& exited);
  void terminate_at(std::uint64_t when_ns) { kill_at_ns_ = when_ns; }
  void on_memory_event();

  // When `check_limits` has to be called next; nullopt when nothing is due.
  std::optional<std::uint64_t> next_check_ns() const;
  // It was to be killed long ago.
  bool overdue(std::uint64_t now_ns) const;
  // Sets the cause if a limit is reached. True if the tree has to be killed now.
  bool check_limits(std::uint64_t now_ns);

  // What was observed; the tree must be gone, the group must still be there.
  Report make_report(sys::CgroupKind kind, std::uint32_t missing, bool rootless);
  // Sends it and closes the channel.
  void send_report(const Report& report);
  // Takes it for killed, if there was a cause to kill it.
  bool end_by_force();
  bool last() const { return last_; }
  std::uint64_t memory_bytes() const { return memory_bytes_; }

 private:
  // On v1 the count rises a little after the event.
  static constexpr std::uint64_t kMemoryWatchNs = 200'000'000;
  // Most programs have ended by then, and need no event: their end tells as much.
  static constexpr std::uint64_t kMemoryEventDelayNs = 10'000'000;
  static constexpr std::uint64_t kMissedEventNs = 5'000'000;
  static constexpr std::uint64_t kKillTimeoutNs = 5'000'000'000;
  static constexpr std::uint64_t kMemoryWatchStepNs = 1'000'000;

  void record_denial(std::uint16_t entry);
  void add_group_usage(Report* report) const;
  bool over_cpu_time(std::uint64_t now_ns);
  bool find_limit(std::uint64_t now_ns);
  void watch_memory(std::uint64_t now_ns);

  std::uint32_t id_;
  bool last_;
  std::uint64_t wall_ns_;
  std::uint64_t cpu_ns_;
  std::uint64_t memory_bytes_;  // the limit
  base::UniqueFd channel_;
  base::UniqueFd handshake_;
  base::UniqueFd listener_;
  std::shared_ptr<sys::Cgroup> group_;
  std::shared_ptr<sys::Cgroup> former_group_;
  std::uint64_t accepted_ns_;
  std::uint64_t started_ns_ = 0;
  std::uint64_t cpu_baseline_ns_ = 0;
  std::uint64_t next_cpu_check_ns_ = 0;
  std::uint64_t kill_at_ns_ = 0;
  std::uint64_t killed_ns_ = 0;           // when it was first due
  std::uint64_t memory_event_at_ns_ = 0;  // when the kernel is asked for events
  std::uint64_t memory_watch_until_ns_ = 0;
  std::uint32_t notifications_ = 0;
  std::uint64_t listens_again_ns_ = 0;
  bool asked_for_internet_ = false;
  bool ended_ = false;
  KillCause cause_ = KillCause::kNone;
  StageFailure failure_;
  std::optional<InitExited> exited_;
  std::uint32_t denied_count_ = 0;
  DeniedCall denied_[kDeniedCallsMax];
  std::string tag_;
  std::optional<LogWriter> log_;
};

}  // namespace airlock::jail
