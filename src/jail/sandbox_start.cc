// How the keeper makes a sandbox (clone3, id maps, cgroup, the first messages to init) and ends it.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "jail/keeper.h"
#include "jail/start_init.h"
#include "jail/test_hooks.h"

namespace airlock::jail {
namespace {

constexpr int kReadyTimeoutMs = 30'000;

}  // namespace

using base::UniqueFd;

StageFailure Keeper::begin_ahead(const BegunSandbox& begun) {
  sandbox_ = std::make_unique<Sandbox>();
  sandbox_->ahead = true;
  if (begun.pid > 0) {
    if (begun.slot_fd >= 0) slot_ = Slot(begun.slot, UniqueFd(begun.slot_fd));
    sandbox_->pid = begun.pid;
    sandbox_->pidfd.reset(begun.pidfd);
    sandbox_->channel.reset(begun.channel_fd);
  }
  if (!slot_.valid()) take_slot();
  StageFailure failure = std::exchange(failure_, {});
  if (failure.stage == Stage::kNone && begun.pid <= 0) failure = begin_sandbox();
  if (failure.stage != Stage::kNone) destroy_sandbox();
  return failure;
}

StageFailure Keeper::release_ahead(bool detach_early) {
  if (sandbox_ == nullptr) return {};
  const StageFailure failure = release_sandbox(detach_early);
  if (failure.stage != Stage::kNone) destroy_sandbox();
  return failure;
}

StageFailure Keeper::await_ahead() {
  if (sandbox_ == nullptr) return {};
  pollfd said = {sandbox_->channel.get(), POLLIN, 0};
  Packet packet;
  InitReady ready;
  // It may say beforehand what it found missing.
  for (bool complete = false; !complete && poll(&said, 1, kReadyTimeoutMs) > 0;) {
    if (receive_packet(said.fd, buffer(), MSG_DONTWAIT, &packet) != ReceiveStatus::kPacket ||
        !decode(packet.bytes, &ready) || ready.stage != 0) {
      return {static_cast<Stage>(ready.stage), ready.stage_errno};
    }
    note_missing(ready);
    complete = ready.complete;
  }
  return {};
}

void Keeper::make_sandbox(const CreateSandbox* request) {
  sandbox_ = std::make_unique<Sandbox>();
  sandbox_->failure = failure_;
  sandbox_->failure_detail = failure_detail_;
  if (sandbox_->failure.stage == Stage::kNone && request != nullptr && is_given_something(*request))
    sandbox_->failure = open_given_mounts(host_, *request, &sandbox_->given);
  if (sandbox_->failure.stage == Stage::kNone) sandbox_->failure = begin_sandbox();
  if (sandbox_->failure.stage == Stage::kNone) sandbox_->failure = release_sandbox(false);
}

void Keeper::settle_ahead(const OpenWorkspace& expected) {
  const bool common =
      expected.disk_bytes <= kTmpfsBytesMax && !expected.reusable && expected.memory_bytes == 0;
  if (sandbox_ == nullptr || !common) return;
  request_ = expected;
  make_store();
  sandbox_->profile = sys::find_seccomp_profile(kUsualProfile);
  const bool settled = failure_.stage == Stage::kNone && settle_sandbox().stage == Stage::kNone;
  if (settled) {
    limit_group_ahead();
  } else {
    drop_ahead();
  }
}

void Keeper::drop_ahead() {
  destroy_sandbox();
  store_.reset();
  failure_ = {};
}

void Keeper::renew() {
  if (sandbox_ == nullptr) return;
  drop_ahead();
  begin_ahead({});
  release_ahead(false);
}

StageFailure Keeper::begin_sandbox() {
  StageFailure failure;
  // On v2 init has to be born in its group: a later move waits for all processors.
  if (sys::has_unified(host_.cgroups)) {
    sandbox_->group = make_group({}, &failure);
    if (failure.stage != Stage::kNone) return failure;
    crash_point("crash:group_made");
  }
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return {Stage::kClone, errno};
  }
  sandbox_->channel = UniqueFd(pair[0]);
  if (in_container()) {
    // Whoever is at its other end may stop reading.
    const timeval patience = {kReadyTimeoutMs / 1'000, 0};
    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  const UniqueFd init_channel(pair[1]);
  sandbox_->born_in_group =
      host_.lower == nullptr && sandbox_->group != nullptr && sandbox_->group->unified_fd() >= 0;
  const bool own_creator = host_.ids.kind == IdMapKind::kPool && host_.own_creators;
  sandbox_->in_network_home = network_ != nullptr && network_->provide();
  const sys::RawChild child =
      host_.lower != nullptr
          ? host_.lower->start_init(slot_.number(), init_channel.get())
          : start_init(
                {.program_fd = host_.init.get(),
                 .channel_fd = init_channel.get(),
                 .directory = host_.view.roots.c_str(),
                 .has_network = sandbox_->in_network_home,
                 .cgroup_fd = sandbox_->born_in_group ? sandbox_->group->unified_fd() : -1,
                 .creator = own_creator ? host_uid(host_.ids, slot_.number(), kCreatorId) : 0});
  if (child.pid < 0) {
    const bool refused = host_.lower != nullptr && host_.lower->tier() == Tier::kRefused;
    return {refused ? Stage::kTier : Stage::kClone, static_cast<std::int32_t>(-child.pid)};
  }
  sandbox_->pid = static_cast<pid_t>(child.pid);
  sandbox_->pidfd = UniqueFd(child.pidfd);
  crash_point("crash:cloned");
  return {};
}

// Init makes its mounts from here on.
StageFailure Keeper::release_sandbox(bool detach_early) {
  if (host_.lower != nullptr) return release_lower_sandbox();
  const bool single = uses_single_id();
  if (const int error = write_id_maps(host_.ids, slot_.number(), single, sandbox_->pid)) {
    const StageFailure said = check_sent(error);
    return said.stage == Stage::kInit ? StageFailure{Stage::kIdMap, error} : said;
  }
  crash_point("crash:mapped");
  ViewSetup view;
  std::string trees;
  for (const std::string& path : host_.view.trees) trees += path + '\0';
  // Root's init is in the folder of the skeletons and could not get there by itself any more.
  const std::string name = host_.privileged() ? host_.view.name() : host_.view.skeleton;
  view.skeleton = name;
  const std::string root = slot_root(host_.view, slot_.number());
  view.slot_root = root;
  view.detach_early = detach_early;
  view.trees = {trees.data(), trees.size(), static_cast<std::uint32_t>(host_.view.trees.size())};
  view.init_id = init_id(host_.ids, single);
  view.bound_watches = host_.ids.kind != IdMapKind::kPool;
  return send_view(&view);
}

StageFailure Keeper::release_lower_sandbox() {
  ViewSetup view;
  std::string words;
  const StageFailure failure = host_.lower->describe(slot_.number(), &view, &words);
  if (failure.stage != Stage::kNone) return failure;
  view.tier = static_cast<std::uint8_t>(host_.lower->tier());
  view.init_id = kGuestId;
  return send_view(&view);
}

// With what the caller has asked for, and that after it.
StageFailure Keeper::send_view(ViewSetup* view) {
  if (host_.lower == nullptr || in_container()) {
    const bool in_directory = store_.has_value() && store_->mount_fd() < 0;
    if (in_directory) view->workspace_directory = store_->directory();
    view->hand_back_workspace = request_.reusable;
  }
  view->binds = static_cast<std::uint32_t>(sandbox_->given.mounts.size());
  view->has_layer = sandbox_->given.has_layer();
  view->workspace_read_only = sandbox_->given.workspace_read_only;
  std::string devices;
  for (const std::string& name : sandbox_->given.devices) devices += name + '\0';
  view->devices = {devices.data(), devices.size(),
                   static_cast<std::uint32_t>(sandbox_->given.devices.size())};
  view->image = sandbox_->given.image;
  int error = send_message(sandbox_->channel.get(), *view);
  if (error == 0) error = send_given_mounts(sandbox_->channel.get(), &sandbox_->given);
  return check_sent(error);
}

// Init takes requests from here on.
StageFailure Keeper::settle_sandbox() {
  sandbox_->missing |= find_missing();
  StageFailure failure;
  if (sandbox_->group == nullptr) {
    sandbox_->group = make_group({}, &failure);
    if (failure.stage != Stage::kNone) return failure;
    crash_point("crash:group_made");
  }
  failure = send_workspace_setup();
  return failure.stage != Stage::kNone ? failure : send_exec_setup();
}

StageFailure Keeper::send_workspace_setup() {
  std::vector<UniqueFd> entrances;
  if (sandbox_->group != nullptr) {
    entrances = sandbox_->group->open_entrances(/*also_unified=*/!sandbox_->born_in_group);
  }
  WorkspaceSetup setup;
  setup.tmpfs_options = store_->tmpfs_options();
  setup.has_mount = store_->mount_fd() >= 0;
  int fds[kMessageFdsMax];
  std::size_t count = 0;
  if (setup.has_mount) fds[count++] = store_->mount_fd();
  for (const UniqueFd& entrance : entrances) {
    if (count < kMessageFdsMax) fds[count++] = entrance.get();
  }
  return check_sent(send_message(sandbox_->channel.get(), setup, std::span<const int>(fds, count)));
}

StageFailure Keeper::send_exec_setup() {
  const auto& profile = *sandbox_->profile;
  const auto& program = host_.seccomp_listener ? profile.report : profile.plain;
  const sock_filter allow_all[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  ExecSetup setup;
  setup.seccomp_listener = host_.seccomp_listener;
  setup.cgroup_namespace = sandbox_->group != nullptr && host_.lower == nullptr;
  setup.seccomp = {reinterpret_cast<const char*>(program.instructions.data()),
                   program.instructions.size_bytes()};
  if (switched_off("seccomp")) {
    setup.seccomp = {reinterpret_cast<const char*>(allow_all), sizeof allow_all};
    setup.seccomp_listener = false;
  }
  const std::string_view packet = encode(setup, buffer());
  if (packet.empty()) return {Stage::kSeccomp, EMSGSIZE};
  return check_sent(send_packet(sandbox_->channel.get(), packet));
}

// Where init has ended, what it said last is the reason.
StageFailure Keeper::check_sent(int error) {
  if (error == 0) return {};
  Packet packet;
  InitReady last;
  while (receive_packet(sandbox_->channel.get(), buffer(), MSG_DONTWAIT, &packet) ==
         ReceiveStatus::kPacket) {
    if (decode(packet.bytes, &last) && last.stage != 0) {
      sandbox_->failure_detail = last.detail.substr(0, kDetailBytesMax);
      return {static_cast<Stage>(last.stage), last.stage_errno};
    }
  }
  return {Stage::kInit, error};
}

std::uint32_t Keeper::find_missing() const {
  std::uint32_t missing = 0;
  if (!host_.seccomp_listener) missing |= kLacksDenialReport;
  if (host_.lower != nullptr) missing |= host_.lower->missing();
  if (host_.lower != nullptr && !in_container()) return missing;
  if (disk_is_watched()) missing |= kLacksDiskQuota;
  if (host_.lower == nullptr && init_id(host_.ids, uses_single_id()) != kInitId) {
    missing |= kLacksUidRange | kLacksSupplementaryGroups;
  }
  const std::uint8_t controllers = host_.cgroups.controllers;
  if (controllers == 0) return missing | kLacksCgroup | kLacksMemoryPeak | kLacksPidsPeak;
  if ((controllers & sys::kControllerMemory) == 0) missing |= kLacksCgroupMemory;
  if ((controllers & sys::kControllerPids) == 0) missing |= kLacksCgroupPids;
  if ((controllers & sys::kControllerCpu) == 0) missing |= kLacksCgroupCpu;
  return missing;
}

void Keeper::signal_init(int number) const {
  if (host_.lower != nullptr) {
    kill(sandbox_->pid, number);  // our own child, not waited for
    return;
  }
  syscall(SYS_pidfd_send_signal, sandbox_->pidfd.get(), number, nullptr, 0);
}

bool Keeper::init_is_alive() const {
  pollfd ended = {sandbox_ != nullptr ? sandbox_->pidfd.get() : -1, POLLIN, 0};
  return poll(&ended, 1, 0) == 0;
}

void Keeper::end_init() {
  crash_point("crash:before_destroy");
  if (sandbox_->pid <= 0) return;
  // The kernel ends a pid namespace with its init, whose end is to be seen only after everything
  // inside is gone. It need not be a child of ours (BegunSandbox): then somebody else reaps it.
  signal_init(SIGKILL);
  pollfd ended = {sandbox_->pidfd.get(), POLLIN, 0};
  while (poll(&ended, 1, -1) < 0 && errno == EINTR) {}
  siginfo_t end{};
  if (host_.lower != nullptr) {
    waitid(P_PID, static_cast<id_t>(sandbox_->pid), &end, WEXITED);
    host_.lower->end_rest(slot_.number());
  } else {
    waitid(P_PIDFD, static_cast<id_t>(sandbox_->pidfd.get()), &end, WEXITED | WNOHANG);
  }
  const bool said_nothing = sandbox_->failure.stage == Stage::kInit;
  if (said_nothing && end.si_code == CLD_EXITED && end.si_status > 1) {
    sandbox_->failure = {Stage::kExecInit, end.si_status};
  }
  sandbox_->pid = -1;
  crash_point("crash:init_reaped");
}

void Keeper::init_died() {
  if (sandbox_->failure.stage == Stage::kNone) sandbox_->failure = {Stage::kInit, ECHILD};
  end_init();
  sandbox_->channel.reset();
  if (sandbox_->layer != nullptr) finish_layer(EIO);
  // To whoever keeps it for later, and is not going to ask; the first collect would fail, too.
  if (sandbox_->processes.empty() && !request_.reusable) fail_collect(ECHILD);
  for (const auto& process : sandbox_->processes) {
    if (process->ended()) continue;
    // A tree that could not be ended in time went with its init: that was us.
    if (host_.lower == nullptr || !process->end_by_force()) {
      process->set_failure(sandbox_->failure.stage, sandbox_->failure.os_errno);
    }
    finish(process.get());
  }
}

void Keeper::destroy_sandbox() {
  if (sandbox_ == nullptr) return;
  end_init();
  for (const auto& process : sandbox_->processes) {
    if (process->ended()) continue;
    process->set_cause(KillCause::kCancelled);
    finish(process.get());
  }
  if (sandbox_->in_network_home) network_->give_back(has_touched_network());
  sandbox_.reset();
}

// Only the usual profile, and only with a listener, tells of the first internet socket.
bool Keeper::has_touched_network() const {
  if (sandbox_->profile == nullptr) return false;  // nothing ever ran in it
  return sandbox_->touched_network || !host_.seccomp_listener ||
         sandbox_->profile != sys::find_seccomp_profile(kUsualProfile) ||
         std::ranges::any_of(sandbox_->processes,
                             [](const auto& p) { return p->asked_for_internet(); });
}

}  // namespace airlock::jail
