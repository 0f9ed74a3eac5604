// How the keeper makes a sandbox: cgroup, clone3, id maps, and the first message to init.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>

#include "jail/keeper.h"
#include "jail/sandbox_setup.h"
#include "jail/test_hooks.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

// The network namespace is missing here: the child has it made while it mounts (sandbox_setup.cc).
constexpr std::uint64_t kNamespaces =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
// The child gives descriptors 3 and 4 to init; nothing it still needs may sit there.
constexpr int kFirstFreeFd = 10;

StageFailure failed(Stage stage) { return {stage, errno}; }

UniqueFd move_up(UniqueFd fd) {
  if (!fd.valid() || fd.get() >= kFirstFreeFd) return fd;
  return UniqueFd(fcntl(fd.get(), F_DUPFD_CLOEXEC, kFirstFreeFd));
}

}  // namespace

std::shared_ptr<sys::Cgroup> Keeper::make_group(const sys::CgroupLimits& limits,
                                                StageFailure* failure) {
  if (host_.cgroups.hierarchies.empty()) return nullptr;
  const std::string slot = "s" + std::to_string(slot_.number());
  if (request_.memory_bytes != 0 && !job_group_.valid()) {
    auto job = sys::Cgroup::create(host_.cgroups, slot, {.memory_bytes = request_.memory_bytes});
    if (!job.has_value()) {
      *failure = {Stage::kCgroup, job.error().os_errno};
      return nullptr;
    }
    job->enable_children();
    job_group_.take(std::move(*job));
  }
  const std::string separator = job_group_.valid() ? "/" : ".";
  auto group =
      sys::Cgroup::create(host_.cgroups, slot + separator + std::to_string(groups_made_++), limits);
  if (!group.has_value()) {
    *failure = {Stage::kCgroup, group.error().os_errno};
    return nullptr;
  }
  return std::make_shared<sys::Cgroup>(std::move(*group));
}

StageFailure Keeper::clone_child(UniqueFd* init_channel) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return failed(Stage::kClone);
  sandbox_->channel = UniqueFd(pair[0]);
  *init_channel = move_up(UniqueFd(pair[1]));
  SetupPlan plan;
  plan.host_view = &host_.view;
  plan.channel_fd = init_channel->get();
  plan.keeper_channel_fd = sandbox_->channel.get();
  plan.init_fd = host_.init.get();
  plan.init_uid = init_id(host_.ids, store_->needs_single_id());
  plan.init_gid = plan.init_uid;
  plan.can_set_groups = plan.init_uid == kInitId;
  plan.workspace_mount_fd = store_->mount_fd();
  plan.workspace_directory = plan.workspace_mount_fd < 0 ? store_->directory() : std::string();
  plan.tmpfs_options = store_->tmpfs_options();
  plan.bound_watches = host_.ids.kind != IdMapKind::kPool;
  plan.hand_back_workspace = request_.reusable;

  if (sandbox_->group != nullptr) {
    plan.group_entrances = sandbox_->group->open_entrances(/*also_unified=*/false);
  }

  clone_args arguments{};
  int pidfd = -1;
  arguments.flags = kNamespaces | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (sandbox_->group != nullptr && sandbox_->group->unified_fd() >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(sandbox_->group->unified_fd());
  }
  // What the kernel counts for a user namespace (inotify instances, pending signals, ...) it counts
  // for its creator too: that is the slot's own uid then, not the host's root. Files are still
  // opened as ourselves.
  const bool own_creator = host_.ids.kind == IdMapKind::kPool;
  if (own_creator) {
    syscall(SYS_setresuid, -1, host_uid(host_.ids, slot_.number(), kCreatorId), -1);
    syscall(SYS_setfsuid, 0);
  }
  // Why safe: like fork, memory is copied; the child makes plain system calls until exec or _exit.
  const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  const int clone_errno = errno;
  if (pid == 0) run_sandbox_child(plan);
  if (own_creator) syscall(SYS_setresuid, -1, 0, -1);
  if (pid < 0) return {Stage::kClone, clone_errno};
  sandbox_->pid = static_cast<pid_t>(pid);
  crash_point("crash:cloned");
  sandbox_->pidfd = UniqueFd(pidfd);
  return {};
}

StageFailure Keeper::release_child() {
  const bool single = store_->needs_single_id();
  if (const int error = write_id_maps(host_.ids, slot_.number(), single, sandbox_->pid)) {
    return {Stage::kIdMap, error};
  }
  crash_point("crash:mapped");
  if (send(sandbox_->channel.get(), "", 1, MSG_NOSIGNAL) != 1) return failed(Stage::kIdMap);
  const auto& profile = *sandbox_->profile;
  const auto& program = host_.seccomp_listener ? profile.report : profile.plain;
  const sock_filter allow_all[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  InitSetup setup;
  setup.seccomp_listener = host_.seccomp_listener;
  setup.cgroup_namespace = sandbox_->group != nullptr;
  setup.can_set_groups = init_id(host_.ids, single) == kInitId;
  setup.seccomp = {reinterpret_cast<const char*>(program.instructions.data()),
                   program.instructions.size_bytes()};
  if (switched_off("seccomp")) {
    setup.seccomp = {reinterpret_cast<const char*>(allow_all), sizeof allow_all};
    setup.seccomp_listener = false;
  }
  const std::string_view packet = encode(setup, buffer());
  if (packet.empty()) return {Stage::kSeccomp, EMSGSIZE};
  if (const int error = send_packet(sandbox_->channel.get(), packet)) return {Stage::kInit, error};
  return {};
}

StageFailure Keeper::start_sandbox() {
  if (!host_.seccomp_listener) sandbox_->missing |= kLacksDenialReport;
  if (store_->kind() == WorkspaceKind::kWatched) sandbox_->missing |= kLacksDiskQuota;
  if (init_id(host_.ids, store_->needs_single_id()) != kInitId) {
    sandbox_->missing |= kLacksUidRange | kLacksSupplementaryGroups;
  }
  const std::uint8_t controllers = host_.cgroups.controllers;
  if (controllers == 0) {
    sandbox_->missing |= kLacksCgroup | kLacksMemoryPeak | kLacksPidsPeak;
  } else {
    if ((controllers & sys::kControllerMemory) == 0) sandbox_->missing |= kLacksCgroupMemory;
    if ((controllers & sys::kControllerPids) == 0) sandbox_->missing |= kLacksCgroupPids;
    if ((controllers & sys::kControllerCpu) == 0) sandbox_->missing |= kLacksCgroupCpu;
  }
  StageFailure failure;
  sandbox_->group = make_group({}, &failure);
  if (failure.stage != Stage::kNone) return failure;
  crash_point("crash:group_made");
  UniqueFd init_channel;  // closed here once the child has its own copy
  failure = clone_child(&init_channel);
  return failure.stage != Stage::kNone ? failure : release_child();
}

void Keeper::destroy_sandbox() {
  if (sandbox_ == nullptr) return;
  crash_point("crash:before_destroy");
  if (sandbox_->pid > 0) {
    // The kernel ends a pid namespace with its init, and reaps it only after everything inside is
    // gone.
    kill(sandbox_->pid, SIGKILL);
    int status = 0;
    while (waitpid(sandbox_->pid, &status, 0) < 0 && errno == EINTR) {}
    sandbox_->pid = -1;
    crash_point("crash:init_reaped");
  }
  for (const auto& process : sandbox_->processes) {
    if (process->ended()) continue;
    process->set_cause(KillCause::kCancelled);
    finish(process.get());
  }
  sandbox_.reset();
}

}  // namespace airlock::jail
