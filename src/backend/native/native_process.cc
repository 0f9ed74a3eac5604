#include "backend/native/native_process.h"

#include <poll.h>
#include <sys/socket.h>
#include <algorithm>
#include <cerrno>

#include "backend/native/setup_hints.h"
#include "jail/channel.h"
#include "jail/path_rules.h"
#include "jail/stage.h"
#include "jail/tier.h"
#include "jail/wire.h"
#include "sys/cgroup.h"
#include "sys/seccomp_profiles.h"

namespace airlock::backend::native {
namespace {

constexpr int kListenerTimeoutMs = 60'000;  // twice what a keeper waits for a sandbox

model::CgroupVersion cgroup_version(std::uint8_t kind) {
  switch (static_cast<sys::CgroupKind>(kind)) {
    case sys::CgroupKind::kV1: return model::CgroupVersion::kV1;
    case sys::CgroupKind::kV2: return model::CgroupVersion::kV2;
    case sys::CgroupKind::kHybrid: return model::CgroupVersion::kHybrid;
    case sys::CgroupKind::kNone: break;
  }
  return model::CgroupVersion::kNone;
}

std::vector<std::string> missing_names(std::uint32_t bits) {
  const std::pair<jail::Missing, std::string_view> names[] = {
      {jail::kLacksCgroup, model::kMissingCgroup},
      {jail::kLacksCgroupMemory, model::kMissingCgroupMemory},
      {jail::kLacksCgroupPids, model::kMissingCgroupPids},
      {jail::kLacksCgroupCpu, model::kMissingCgroupCpu},
      {jail::kLacksMemoryPeak, model::kMissingMemoryPeak},
      {jail::kLacksPidsPeak, model::kMissingPidsPeak},
      {jail::kLacksUidRange, model::kMissingUidRange},
      {jail::kLacksSupplementaryGroups, model::kMissingSupplementaryGroups},
      {jail::kLacksLandlock, model::kMissingLandlock},
      {jail::kLacksCoreScheduling, model::kMissingCoreScheduling},
      {jail::kLacksDiskQuota, model::kMissingDiskQuota},
      {jail::kLacksDenialReport, model::kMissingDenialReport},
      {jail::kLacksPrivateView, model::kMissingPrivateView},
      {jail::kLacksMountNamespace, model::kMissingMountNamespace},
      {jail::kLacksPidNamespace, model::kMissingPidNamespace},
      {jail::kLacksNetworkNamespace, model::kMissingNetworkNamespace},
      {jail::kLacksIpcNamespace, model::kMissingIpcNamespace},
      {jail::kLacksUtsNamespace, model::kMissingUtsNamespace},
      {jail::kLacksUserNamespace, model::kMissingUserNamespace},
      {jail::kLacksOwnRoot, model::kMissingOwnRoot},
      {jail::kLacksProc, model::kMissingProc},
      {jail::kLacksChmod, model::kMissingChmod},
      {jail::kLacksSockets, model::kMissingSockets},
      {jail::kLacksSignals, model::kMissingSignals}};
  std::vector<std::string> missing;
  for (const auto& [bit, name] : names) {
    if ((bits & bit) != 0) missing.emplace_back(name);
  }
  std::ranges::sort(missing);
  return missing;
}

std::vector<model::Denial> denials(const jail::Report& report, const std::string& profile_name) {
  std::vector<model::Denial> list;
  const sys::SeccompProfile* profile = sys::find_seccomp_profile(profile_name);
  for (std::uint32_t i = 0; i < std::min<std::size_t>(report.denied_count, jail::kDeniedCallsMax);
       ++i) {
    const std::uint16_t index = report.denied[i].entry;
    if (profile != nullptr && index < profile->denials.size()) {
      const sys::DenialEntry& entry = profile->denials[index];
      list.push_back({entry.what, entry.rule, entry.fix});
    } else {
      list.push_back({"a system call of a foreign architecture", "seccomp " + profile_name,
                      "build the program for x86-64"});
    }
  }
  return list;
}

ProcessReport to_report(const jail::Report& wire, const SandboxSpec& spec) {
  ProcessReport report;
  model::ProcessFacts& facts = report.facts;
  facts.kill_reason = static_cast<model::KillReason>(wire.kill_reason);
  facts.cancelled = facts.kill_reason == model::KillReason::kCancelled;
  if (wire.stage != 0) {
    const auto stage = static_cast<jail::Stage>(wire.stage);
    facts.setup_failure =
        model::SetupFailure{std::string(jail::stage_name(stage)), wire.stage_errno,
                            wire.detail.empty() ? setup_hint(stage, wire.stage_errno, wire.rootless)
                                                : std::string(wire.detail)};
  }
  facts.has_exit_status = wire.has_exit_status;
  facts.wait_status = wire.wait_status;
  facts.oom_kills = wire.oom_kills;
  facts.pids_denied = wire.pids_denied;
  facts.disk_full = wire.disk_full;
  facts.inodes_full = wire.inodes_full;
  facts.denials = denials(wire, spec.seccomp_profile);
  report.processes_killed = wire.processes_killed;
  model::Usage& usage = report.usage;
  usage.wall = std::chrono::microseconds(wire.wall_us);
  usage.user = std::chrono::microseconds(wire.user_us);
  usage.system = std::chrono::microseconds(wire.system_us);
  if ((wire.missing & jail::kLacksMemoryPeak) == 0) {
    usage.memory_peak = base::ByteCount(wire.memory_peak_bytes);
  }
  if ((wire.missing & jail::kLacksPidsPeak) == 0) {
    usage.pids_peak = static_cast<std::uint32_t>(wire.pids_peak);
  }
  // Of libstdc++, steady_clock is CLOCK_MONOTONIC, which the keeper and we have in common.
  if (wire.started_us != 0) {
    report.started =
        std::chrono::steady_clock::time_point(std::chrono::microseconds(wire.started_us));
  }
  if (wire.has_log) {
    report.log = LogReport{.written = base::ByteCount(wire.log.written),
                           .dropped = base::ByteCount(wire.log.dropped),
                           .truncated = wire.log.truncated,
                           .os_errno = wire.log.os_errno};
  }
  model::Isolation& isolation = report.isolation;
  isolation.cgroup = cgroup_version(wire.cgroup_kind);
  isolation.seccomp = spec.seccomp_profile;
  isolation.network = model::network_mode_name(spec.network);
  isolation.image = spec.image;
  isolation.rootless = wire.rootless;
  const auto tier = static_cast<jail::Tier>(wire.tier);
  isolation.tier = jail::tier_name(tier);
  isolation.backend = jail::tier_backend(tier);
  isolation.level = level_of(tier);
  isolation.missing = missing_names(wire.missing);
  return report;
}

// A name that may hold anything, made fit for printing.
std::string escape_name(std::string_view name) {
  if (jail::is_printable_utf8(name)) return std::string(name);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '\\') {
      text += c;
    } else {
      text += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return text;
}

}  // namespace

model::IsolationLevel level_of(jail::Tier tier) {
  if (jail::has_own_kernel(tier)) return model::IsolationLevel::kKernel;
  return jail::lacks_namespaces(tier) ? model::IsolationLevel::kProcess
                                      : model::IsolationLevel::kContainer;
}

base::Status NativeProcess::receive(int flags) {
  char buffer[8 * 1024];
  jail::Packet packet;
  switch (jail::receive_packet(channel_.get(), buffer, flags, &packet)) {
    case jail::ReceiveStatus::kWouldBlock: return {};
    case jail::ReceiveStatus::kPacket: break;
    default:
      return base::fail(base::ErrorCode::kUnavailable, "the sandbox's keeper died",
                        "nothing of the sandbox is left; run again");
  }
  jail::Report report;
  jail::Terminal terminal;
  if (jail::decode(packet.bytes, &report)) {
    report_ = to_report(report, spec_);
  } else if (jail::decode(packet.bytes, &terminal) && packet.fd_count == 1) {
    terminal_ = std::move(packet.fds[0]);
  } else {
    return base::fail(base::ErrorCode::kProtocol, "the keeper sent an unknown message");
  }
  return {};
}

base::Result<std::optional<ProcessReport>> NativeProcess::try_report() {
  if (!report_.has_value()) AIRLOCK_TRY(receive(MSG_DONTWAIT));
  return report_;
}

base::Result<ProcessReport> NativeProcess::wait() {
  while (!report_.has_value()) AIRLOCK_TRY(receive(0));
  return *report_;
}

base::Result<std::optional<base::UniqueFd>> NativeProcess::try_terminal() {
  if (!terminal_.valid() && !report_.has_value()) AIRLOCK_TRY(receive(MSG_DONTWAIT));
  if (!terminal_.valid()) return std::optional<base::UniqueFd>();
  return std::optional<base::UniqueFd>(std::move(terminal_));
}

base::Status NativeProcess::kill(model::KillReason reason) {
  jail::send_message(channel_.get(), jail::Kill{static_cast<std::uint8_t>(reason)});
  return {};  // a channel that is closed already belongs to a process that has ended
}

base::Status NativeProcess::terminate(model::KillReason reason, std::chrono::milliseconds grace) {
  jail::send_message(channel_.get(), jail::Terminate{static_cast<std::uint8_t>(reason),
                                                     static_cast<std::uint64_t>(grace.count())});
  return {};
}

base::Status NativeProcess::signal(int number) {
  jail::send_message(channel_.get(), jail::Signal{number});
  return {};
}

base::Result<base::UniqueFd> receive_listener(int channel) {
  char buffer[256];
  jail::Packet packet;
  jail::Listener listener;
  pollfd said = {channel, POLLIN, 0};
  if (::poll(&said, 1, kListenerTimeoutMs) <= 0) {
    return base::fail(base::ErrorCode::kUnavailable, "the sandbox does not get ready");
  }
  if (jail::receive_packet(channel, buffer, 0, &packet) != jail::ReceiveStatus::kPacket ||
      !jail::decode(packet.bytes, &listener)) {
    return base::fail(base::ErrorCode::kUnavailable, "the sandbox died before it had its gateway");
  }
  if (listener.os_errno != 0) {
    return base::fail(base::errno_error("listener of the gateway", listener.os_errno));
  }
  if (packet.fd_count != 1) {
    return base::fail(base::ErrorCode::kProtocol, "the keeper sent no listener");
  }
  return std::move(packet.fds[0]);
}

base::Result<Collected> receive_collected(int channel) {
  Collected collected;
  char buffer[8 * 1024];
  while (true) {
    jail::Packet packet;
    if (jail::receive_packet(channel, buffer, 0, &packet) != jail::ReceiveStatus::kPacket) {
      return base::fail(base::ErrorCode::kUnavailable,
                        "the sandbox's keeper died while collecting");
    }
    jail::CollectedFile file;
    jail::RefusedFile refused;
    jail::CollectDone done;
    if (jail::decode(packet.bytes, &file) && packet.fd_count == 1) {
      collected.files.push_back(
          {std::string(file.path), std::move(packet.fds[0]), base::ByteCount(file.size)});
    } else if (jail::decode(packet.bytes, &refused)) {
      collected.refused.push_back({escape_name(refused.path), std::string(refused.reason)});
    } else if (jail::decode(packet.bytes, &done)) {
      if (static_cast<jail::Stage>(done.stage) == jail::Stage::kImage) {
        return base::fail(base::ErrorCode::kNotFound,
                          done.detail.empty()
                              ? setup_hint(jail::Stage::kImage, done.os_errno, false)
                              : std::string(done.detail));
      }
      if (!done.detail.empty()) {
        return base::fail(base::ErrorCode::kUnavailable, std::string(done.detail));
      }
      if (done.os_errno != 0)
        return base::fail(base::errno_error("collect outputs", done.os_errno));
      collected.truncated = done.truncated;
      break;
    } else {
      return base::fail(base::ErrorCode::kProtocol, "the keeper sent an unknown message");
    }
  }
  std::ranges::sort(collected.files, {}, &CollectedFile::path);
  std::ranges::sort(collected.refused, {}, &model::RefusedOutput::path);
  return collected;
}

}  // namespace airlock::backend::native
