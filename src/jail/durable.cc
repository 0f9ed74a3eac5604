// The members of Keeper that only a workspace with a name needs.
#include "jail/durable.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "jail/keeper.h"
#include "jail/test_hooks.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

constexpr int kVisitorWaitMs = 50;

// Two ends of a channel; both invalid where there are no descriptors left.
std::pair<UniqueFd, UniqueFd> make_channel() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return {};
  return {UniqueFd(pair[0]), UniqueFd(pair[1])};
}

std::string_view name_of(const sys::SeccompProfile* profile) {
  return profile != nullptr ? profile->name : "";
}

}  // namespace

void Keeper::be_durable(const DurableFolder& folder, std::string name, UniqueFd listener) {
  durable_ = std::make_unique<Durable>();
  durable_->folder = &folder;
  durable_->name = std::move(name);
  durable_->listener = std::move(listener);
}

int Keeper::listener_fd() const {
  // What a collection still gives is for who asked for it.
  const bool listens = durable_ != nullptr && (sandbox_ == nullptr || !sandbox_->collecting);
  return listens ? durable_->listener.get() : -1;
}

void Keeper::serve_listener() {
  const UniqueFd visitor(accept4(durable_->listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  // A launcher speaks at once, or hangs up: it only wanted to know whether we live.
  pollfd said = {visitor.get(), POLLIN, 0};
  if (!visitor.valid() || poll(&said, 1, kVisitorWaitMs) != 1) return;
  Packet packet;
  if (receive_packet(visitor.get(), buffer(), MSG_DONTWAIT, &packet) != ReceiveStatus::kPacket)
    return;
  AdoptWorkspace adopt;
  DiscardWorkspace discard;
  if (decode(packet.bytes, &adopt) && adopt.name == durable_->name && packet.fd_count == 1) {
    UniqueFd next = std::move(packet.fds[0]);
    // What the one before has asked for already still counts.
    if (caller_.valid()) (void)serve_caller();
    if (!ended_) take_up_caller(std::move(next));
  } else if (decode(packet.bytes, &discard) && discard.name == durable_->name) {
    send_message(visitor.get(), WorkspaceAnswer{}, {}, MSG_DONTWAIT);
    ended_ = true;
  }
}

void Keeper::take_up_caller(UniqueFd caller) {
  caller_ = std::move(caller);
  limit_sending();
  if (durable_ == nullptr) return;
  durable_->alone_since_ns = 0;
  std::vector<GuestProcess*> running;
  if (sandbox_ != nullptr) {
    for (const auto& process : sandbox_->processes) {
      if (!process->ended() && !process->tag().empty()) running.push_back(process.get());
    }
  }
  Adopted adopted;
  adopted.has_sandbox = has_sandbox() && sandbox_->pid > 0;
  if (adopted.has_sandbox) adopted.seccomp_profile = name_of(sandbox_->profile);
  adopted.processes = static_cast<std::uint32_t>(durable_->ended.size() + running.size());
  send_message(caller_.get(), adopted, {}, MSG_DONTWAIT);
  for (const Durable::Ended& ended : durable_->ended) {
    hand_over(ended.tag, ended.seccomp_profile, &ended.report);
  }
  for (GuestProcess* const process : running) {
    process->take_channel(hand_over(process->tag(), name_of(sandbox_->profile), nullptr));
  }
}

UniqueFd Keeper::hand_over(std::string_view tag, std::string_view profile,
                           const Report* report) const {
  auto [ours, theirs] = make_channel();
  const int fds[] = {theirs.get()};
  const AdoptedProcess process{.tag = tag, .seccomp_profile = profile};
  // It is there when the caller looks.
  if (report != nullptr) send_message(ours.get(), *report, {}, MSG_DONTWAIT);
  send_message(caller_.get(), process, std::span<const int>(fds, theirs.valid() ? 1 : 0),
               MSG_DONTWAIT);
  return std::move(ours);
}

bool Keeper::lose_caller() {
  if (durable_ == nullptr) return false;
  caller_.reset();
  return true;
}

bool Keeper::has_tag(std::string_view tag) const {
  const auto bears_it = [&](const auto& process) {
    return !process->ended() && process->tag() == tag;
  };
  return std::ranges::find(durable_->ended, tag, &Durable::Ended::tag) != durable_->ended.end() ||
         std::ranges::any_of(sandbox_->processes, bears_it);
}

int Keeper::check_log(const Exec& request, const Packet& packet) const {
  if (durable_ == nullptr) return ENOTSUP;
  if (!is_durable_name(request.tag) || request.log_bytes_max > kLogBytesMaxMax) return EINVAL;
  if (has_tag(request.tag)) return EEXIST;
  const auto running = std::ranges::count_if(
      sandbox_->processes, [](const auto& p) { return !p->ended() && !p->tag().empty(); });
  if (durable_->ended.size() + static_cast<std::size_t>(running) >= kTagsMax) return EDQUOT;
  return is_log_file(packet.fds[1].get()) ? 0 : EBADF;
}

// The guest gets pipes in the place of the file.
int Keeper::attach_log(const Exec& request, Packet* packet, std::optional<LogWriter>* log) const {
  log->emplace(std::move(packet->fds[1]), request.log_bytes_max);
  const bool others = host_.privileged();
  const std::int64_t owner = others ? host_uid(host_.ids, slot_.number(), kGuestId) : -1;
  UniqueFd ends[LogWriter::kStreams];
  const int error = (*log)->open(ends, owner);
  packet->fds[1].reset(open_null());
  packet->fds[2] = std::move(ends[0]);
  packet->fds[3] = std::move(ends[1]);
  packet->fd_count = 4;
  return error != 0 || packet->fds[1].valid() ? error : EMFILE;
}

int Keeper::open_null() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

void Keeper::keep_report(const GuestProcess& process, const Report& report) {
  if (durable_ == nullptr || process.tag().empty()) return;
  durable_->ended.push_back({.tag = std::string(process.tag()),
                             .seccomp_profile = std::string(name_of(sandbox_->profile)),
                             .report = report});
}

bool Keeper::forget(const ForgetProcess& request) {
  if (durable_ == nullptr) return false;
  std::erase_if(durable_->ended, [&](const auto& ended) { return ended.tag == request.tag; });
  return true;
}

bool Keeper::end_workspace() {
  ended_ = durable_ != nullptr;
  return ended_;
}

void Keeper::leave_folder() {
  if (durable_ == nullptr) return;
  durable_->folder->remove(durable_->name);
  durable_->listener.reset();
}

// When it is over with a workspace that nobody asks for.
std::optional<std::uint64_t> Keeper::orphan_deadline_ns() const {
  if (durable_ == nullptr || durable_->alone_since_ns == 0) return std::nullopt;
  return durable_->alone_since_ns + orphan_max_ns(kOrphanMaxNs);
}

void Keeper::check_orphan() {
  if (durable_ == nullptr) return;
  const bool runs =
      sandbox_ != nullptr &&
      std::ranges::any_of(sandbox_->processes, [](const auto& p) { return !p->ended(); });
  if (caller_.valid() || runs) {
    durable_->alone_since_ns = 0;
  } else if (durable_->alone_since_ns == 0) {
    durable_->alone_since_ns = monotonic_ns();
  }
  if (monotonic_ns() >= orphan_deadline_ns().value_or(UINT64_MAX)) ended_ = true;
}

}  // namespace airlock::jail
