#include "jail/keeper.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "jail/test_hooks.h"
#include "sys/files.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

constexpr std::uint32_t kPidsMax = 65'536;
constexpr std::uint32_t kCpuRatePercentMax = 1'000'000;
constexpr std::uint64_t kDiskBytesMin = 64 * 1024;
constexpr std::uint64_t kDiskBytesMax = 4ull << 40;
constexpr std::uint32_t kInodesMax = 64u << 20;
constexpr timeval kSendTimeout = {30, 0};  // for a caller that does not read
constexpr std::uint32_t kOpenFilesMax = 1u << 20;
constexpr std::uint32_t kPutsPendingMax = 32;
constexpr int kPacketsAtOnce = 256;
constexpr int kLingerAttempts = 5'000;  // a millisecond each

bool valid_request(const Exec& request, std::size_t fd_count) {
  const bool has_log = request.log_bytes_max != 0;
  const std::size_t fds = has_log ? 2 : request.terminal ? 1 : 4;
  return request.argv.count() >= 1 && request.cwd.starts_with('/') && fd_count == fds &&
         has_log != request.tag.empty() && !(has_log && request.terminal) && request.wall_ms >= 1 &&
         request.wall_ms <= kTimeLimitMsMax && request.cpu_ms >= 1 &&
         request.cpu_ms <= kTimeLimitMsMax && request.pids >= 1 && request.pids <= kPidsMax &&
         request.open_files >= 1 && request.open_files <= kOpenFilesMax &&
         request.memory_bytes >= 1 && request.cpu_rate_percent <= kCpuRatePercentMax;
}

bool valid_workspace(const OpenWorkspace& request) {
  return request.disk_bytes >= kDiskBytesMin && request.disk_bytes <= kDiskBytesMax &&
         request.inodes >= 1 && request.inodes <= kInodesMax;
}

// With one thread for each core there is nobody to listen.
bool threads_share_cores() {
  static const bool share =
      sys::read_number_at(AT_FDCWD, "/sys/devices/system/cpu/smt/active") != 0;
  return share;
}

bool is_same(const OpenWorkspace& a, const OpenWorkspace& b) {
  return a.disk_bytes == b.disk_bytes && a.inodes == b.inodes && a.memory_bytes == b.memory_bytes &&
         a.reusable == b.reusable;
}

// Of the one keeper that a process is at a time. Pages are touched only as far as messages are
// long, and then again and again.
char received[kMessageBytesMax];
char encoded[kMessageBytesMax];

bool is_regular(int fd) {
  struct stat status{};
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

std::span<char> Keeper::buffer() { return received; }

void Keeper::take_slot() {
  auto slot = host_.slots.take();
  if (!slot.has_value()) {
    failure_ = {Stage::kSlot, EAGAIN};
    return;
  }
  slot_ = std::move(*slot);
  crash_point("crash:slot_taken");
}

void Keeper::limit_sending() const {
  setsockopt(caller_.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof kSendTimeout);
}

void Keeper::open(const OpenWorkspace& request, UniqueFd caller) {
  take_up_caller(std::move(caller));
  if (!init_is_alive() || (store_.has_value() && !is_same(request, request_))) drop_ahead();
  request_ = request;
  if (!valid_workspace(request)) failure_ = {Stage::kRequest, EINVAL};
  if (failure_.stage == Stage::kNone && !slot_.valid()) take_slot();
  if (failure_.stage == Stage::kNone && !store_.has_value()) make_store();
  const bool in_job_group =
      request.memory_bytes != 0 && sandbox_ != nullptr && sandbox_->born_in_group;
  const bool common = failure_.stage == Stage::kNone && store_->suits_any_sandbox() &&
                      !request.reusable && !in_job_group;
  if (!common) destroy_sandbox();
}

void Keeper::make_store() {
  auto store = host_.lower != nullptr
                   ? host_.lower->make_store(slot_.number(), request_.disk_bytes, request_.inodes)
                   : WorkspaceStore::create(host_.ids, host_.state_directory, slot_.number(),
                                            request_.disk_bytes, request_.inodes);
  if (store.has_value()) {
    store_.emplace(std::move(*store));
    crash_point("crash:workspace_made");
  } else {
    failure_ = {Stage::kWorkspace, store.error().os_errno != 0 ? store.error().os_errno : ENOTSUP};
    if (in_container()) failure_detail_ = store.error().to_string().substr(0, kDetailBytesMax);
  }
}

Keeper::~Keeper() {
  destroy_sandbox();
  if (in_container() && store_.has_value()) host_.lower->end_workspace(slot_.number());
}

GuestProcess* Keeper::find(std::uint32_t id) {
  for (const auto& process : sandbox_->processes) {
    if (process->id() == id) return process.get();
  }
  return nullptr;
}

Kept Keeper::kept() const {
  Kept kept;
  if (slot_.valid()) kept.slot = slot_.number();
  if (sandbox_ != nullptr && sandbox_->group != nullptr) kept.group = sandbox_->group->name();
  if (store_.has_value()) kept.workspace = store_->name();
  return kept;
}

bool Keeper::disk_is_watched() const { return store_.has_value() && store_->is_watched(); }

// Later requests wait in the caller's socket: a process that is starting needs init to stay in its
// group, and init must never have more to read than it gets to while it has more to say.
bool Keeper::busy() const {
  return sandbox_ != nullptr &&
         (sandbox_->collecting || sandbox_->puts_pending >= kPutsPendingMax ||
          std::ranges::any_of(sandbox_->processes, [](const auto& p) { return p->starting(); }));
}

bool Keeper::is_alone(const GuestProcess& process) const {
  return std::ranges::all_of(sandbox_->processes, [&](const auto& other) {
    return other.get() == &process || other->ended();
  });
}

bool Keeper::serve_caller() {
  while (!busy() && !ended_) {
    Packet packet;
    switch (receive_packet(caller_.get(), buffer(), MSG_DONTWAIT, &packet)) {
      case ReceiveStatus::kWouldBlock: return true;
      case ReceiveStatus::kPacket:
        if (!dispatch(&packet)) return false;
        break;
      default: return false;
    }
  }
  return true;
}

bool Keeper::dispatch(Packet* packet) {
  switch (message_type(packet->bytes)) {
    case MessageType::kCreateSandbox: {
      CreateSandbox request;
      return decode(packet->bytes, &request) && create_sandbox(request);
    }
    case MessageType::kDestroySandbox: {
      DestroySandbox request;
      if (!decode(packet->bytes, &request)) return false;
      destroy_sandbox();
      return true;
    }
    case MessageType::kListen: {
      Listen request;
      return decode(packet->bytes, &request) && open_listener(request);
    }
    case MessageType::kPutFile: {
      PutFile request;
      return decode(packet->bytes, &request) && put_file(request, packet);
    }
    case MessageType::kExec: {
      Exec request;
      return decode(packet->bytes, &request) && exec(request, packet);
    }
    case MessageType::kCollect: {
      Collect request;
      return decode(packet->bytes, &request) && collect(request, packet);
    }
    case MessageType::kForgetProcess: {
      ForgetProcess request;
      return decode(packet->bytes, &request) && forget(request);
    }
    case MessageType::kEndWorkspace: {
      EndWorkspace request;
      return decode(packet->bytes, &request) && end_workspace();
    }
    case MessageType::kKeepLayer: {
      KeepLayer request;
      return decode(packet->bytes, &request) && keep_layer(request);
    }
    case MessageType::kLayerOrder: {
      LayerOrder request;
      if (!decode(packet->bytes, &request)) return false;
      serve_layer_order(host_.state_directory, request, caller_);
      return true;
    }
    default: return false;
  }
}

bool Keeper::create_sandbox(const CreateSandbox& request) {
  // Whoever has adopted a workspace may not know of the sandbox.
  if (has_sandbox() && durable_ != nullptr) destroy_sandbox();
  if (has_sandbox()) return false;
  const sys::SeccompProfile* const profile = sys::find_seccomp_profile(request.seccomp_profile);
  const bool other =
      sandbox_ != nullptr && sandbox_->profile != nullptr && sandbox_->profile != profile;
  if (other || is_given_something(request)) destroy_sandbox();
  if (sandbox_ == nullptr) make_sandbox(&request);
  sandbox_->ahead = false;
  if (sandbox_->profile != nullptr) return true;  // all of it is as expected
  sandbox_->profile = profile;
  if (profile == nullptr) sandbox_->failure = {Stage::kRequest, EINVAL};
  if (sandbox_->failure.stage == Stage::kNone) sandbox_->failure = settle_sandbox();
  return true;
}

bool Keeper::put_file(const PutFile& request, Packet* packet) {
  if (!has_sandbox() || packet->fd_count != 1 || request.path.empty()) return false;
  if (!is_regular(packet->fds[0].get())) return false;
  if (sandbox_->failure.stage != Stage::kNone) return true;  // the process that needs it reports it
  const int fds[] = {packet->fds[0].get()};
  const int error = send_packet(sandbox_->channel.get(), packet->bytes, fds);
  ++sandbox_->puts_pending;
  if (error != 0) sandbox_->failure = check_sent(error);
  return true;
}

bool Keeper::exec(const Exec& request, Packet* packet) {
  if (!has_sandbox() || !valid_request(request, packet->fd_count)) return false;
  std::erase_if(sandbox_->processes, [](const auto& p) { return p->ended(); });
  if (sandbox_->processes.size() >= kProcessesPerSandboxMax) return false;
  std::optional<LogWriter> log;
  if (!request.tag.empty()) {
    int error = check_log(request, *packet);
    if (error == 0) error = attach_log(request, packet, &log);
    if (error != 0) return refuse_exec(error, *packet);
  }
  StageFailure failure = sandbox_->failure;
  // The master of a pty cannot be passed out of one.
  if (request.terminal && in_container()) failure = {Stage::kTerminal, ENOTSUP};
  const std::shared_ptr<sys::Cgroup> former_group = sandbox_->group;
  std::vector<UniqueFd> entrances;
  if (failure.stage == Stage::kNone) failure = prepare_group(request, &entrances);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return false;
  UniqueFd handshake(pair[1]);
  Exec numbered = request;
  numbered.id = processes_made_++;
  numbered.tag = {};
  numbered.log_bytes_max = 0;
  constexpr std::uint8_t kEnough = sys::kControllerMemory | sys::kControllerPids;
  const bool foreign_tasks = in_container() && !host_.lower->has_host_tasks();
  numbered.use_rlimits = (host_.cgroups.controllers & kEnough) != kEnough || foreign_tasks;
  auto process = std::make_unique<GuestProcess>(request.tag, numbered, std::move(packet->fds[0]),
                                                UniqueFd(pair[0]), sandbox_->group);
  process->log() = std::move(log);
  process->keep_until_started(former_group);
  TranslatedWords words;
  if (host_.lower != nullptr) host_.lower->translate(slot_.number(), &numbered, &words);
  if (failure.stage == Stage::kNone) {
    failure = forward_exec(numbered, std::move(handshake), packet, entrances);
  }
  sandbox_->processes.push_back(std::move(process));
  if (failure.stage != Stage::kNone) {
    sandbox_->processes.back()->set_failure(failure.stage, failure.os_errno);
    finish(sandbox_->processes.back().get());
  }
  return true;
}

// What is wrong with it is the caller's to know, and no reason to end what runs.
bool Keeper::refuse_exec(int error, const Packet& packet) const {
  Report report;
  report.stage = static_cast<std::uint16_t>(Stage::kRequest);
  report.stage_errno = error;
  send_message(packet.fds[0].get(), report, {}, MSG_DONTWAIT);
  return true;
}

StageFailure Keeper::forward_exec(const Exec& request, UniqueFd handshake, Packet* packet,
                                  std::span<const UniqueFd> entrances) {
  int fds[kMessageFdsMax] = {handshake.get()};
  for (std::size_t i = 1; i < packet->fd_count; ++i) fds[i] = packet->fds[i].get();
  std::size_t count = packet->fd_count;
  for (const UniqueFd& entrance : entrances) {
    if (count < kMessageFdsMax) fds[count++] = entrance.get();
  }
  const std::span<const int> passed(fds, count);
  const std::string_view message = encode(request, encoded, passed.size());
  if (message.empty()) return {Stage::kRequest, E2BIG};
  if (const int error = send_packet(sandbox_->channel.get(), message, passed)) {
    return check_sent(error);
  }
  crash_point("crash:exec_sent");
  return {};
}

void Keeper::note_missing(const InitReady& ready) {
  sandbox_->missing |= ready.missing;
  if ((ready.missing & kLacksCoreScheduling) != 0 && !threads_share_cores())
    sandbox_->missing &= ~std::uint32_t{kLacksCoreScheduling};
}

void Keeper::serve_init() {
  Packet packet;
  // Who talks without end must not keep us from the deadlines.
  for (int count = 0; sandbox_ != nullptr && count < kPacketsAtOnce; ++count) {
    const ReceiveStatus status =
        receive_packet(sandbox_->channel.get(), buffer(), MSG_DONTWAIT, &packet);
    if (status == ReceiveStatus::kWouldBlock) return;
    if (status != ReceiveStatus::kPacket) return init_died();
    InitReady ready;
    InitExited exited;
    Terminal terminal;
    Listener listener;
    switch (message_type(packet.bytes)) {
      case MessageType::kWorkspaceMount: store_->keep_mount(std::move(packet.fds[0])); break;
      case MessageType::kInitPutDone:
        if (sandbox_->puts_pending == 0) return init_died();
        --sandbox_->puts_pending;
        break;
      case MessageType::kInitReady:
        if (!decode(packet.bytes, &ready)) return init_died();
        note_missing(ready);
        if (ready.stage != 0) {
          sandbox_->failure = {static_cast<Stage>(ready.stage), ready.stage_errno};
          sandbox_->failure_detail = ready.detail.substr(0, kDetailBytesMax);
        } else if (ready.complete) {
          on_ready();
        }
        break;
      case MessageType::kInitExited:
        if (!decode(packet.bytes, &exited)) return init_died();
        if (GuestProcess* process = find(exited.id); process != nullptr) {
          // What the process itself said last is still in its own socket.
          process->read_handshakes();
          process->on_exited(exited);
          finish(process);
        }
        break;
      case MessageType::kTerminal:
        if (decode(packet.bytes, &terminal) && packet.fd_count == 1) {
          if (GuestProcess* process = find(terminal.id); process != nullptr) {
            process->send_terminal(packet.fds[0].get());
          }
        }
        break;
      case MessageType::kListener:
        if (!decode(packet.bytes, &listener) || !pass_listener(listener, &packet)) {
          return init_died();
        }
        break;
      case MessageType::kTreeEntry:
      case MessageType::kTreeDone:
        if (!take_tree(&packet)) return init_died();
        return;  // a file may be large: a caller who is gone is seen in between
      case MessageType::kCollectDone:
      case MessageType::kCollectedFile:
      case MessageType::kRefusedFile: {
        if (packet.fd_count > 1) return init_died();
        if (in_container() && !may_be_collected(packet)) return init_died();
        sandbox_->collecting &= message_type(packet.bytes) != MessageType::kCollectDone;
        const int fds[] = {packet.fds[0].get()};
        send_packet(caller_.get(), packet.bytes, std::span<const int>(fds, packet.fd_count));
        break;
      }
      default: return init_died();
    }
  }
}

// Init has reaped everything by the time it tells of the end of the only process; where others
// still run, what this one left behind in its group is ended here.
void Keeper::finish(GuestProcess* process) {
  const int spared = std::max(sandbox_->pid, 0);
  if (process->group() != nullptr && !is_alone(*process) && !in_container()) {
    for (int i = 0; i < kLingerAttempts && !process->group()->empty(spared); ++i) {
      process->group()->kill_all(spared);
      usleep(1'000);
    }
  }
  sandbox_->touched_network |= process->asked_for_internet();
  crash_point("crash:before_report");
  Report report = process->make_report(host_.cgroups.kind, sandbox_->missing, !host_.privileged());
  if (host_.lower != nullptr) report.tier = static_cast<std::uint8_t>(host_.lower->tier());
  report.disk_full |= disk_is_watched() && store_->over_limit();
  if (report.stage != 0) report.detail = sandbox_->failure_detail;
  keep_report(*process, report);
  if (process->last() && sandbox_->pid > 0) {
    // Nobody of the guest's is left. Who shares the processors with us waits for the rest as well.
    if (!ends_with_last_ && (host_.lower == nullptr || in_container())) {
      process->send_report(report);
    }
    // Out of the list first, which ends with the sandbox.
    const auto place = std::ranges::find(sandbox_->processes, process,
                                         [](const auto& owner) { return owner.get(); });
    const std::unique_ptr<GuestProcess> finished = std::move(*place);
    sandbox_->processes.erase(place);
    end_init();
    finished->send_report(report);
    destroy_sandbox();
    ended_ = ends_with_last_;
  } else {
    process->send_report(report);
  }
  crash_point("crash:after_report");
}

}  // namespace airlock::jail
