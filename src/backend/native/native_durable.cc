#include "backend/native/native_durable.h"

#include <poll.h>
#include <sys/socket.h>
#include <cerrno>
#include <utility>

#include "jail/channel.h"
#include "jail/durable_folder.h"
#include "jail/wire_durable.h"

namespace airlock::backend::native {
namespace {

using base::ErrorCode;
using base::UniqueFd;

constexpr int kAnswerTimeoutMs = 30'000;
// It waits its turn behind others, and a keeper may take a minute for its end.
constexpr int kDiscardTimeoutMs = 180'000;
constexpr int kEndTimeoutMs = 30'000;  // a keeper that has not tidied up by then is left to a sweep
constexpr std::size_t kAnswerBytesMax = 16 * 1024;

base::Error refusal(const jail::WorkspaceAnswer& answer, std::string_view name) {
  const std::string called = "the workspace '" + std::string(name) + "'";
  switch (answer.os_errno) {
    case EINVAL:
      return {ErrorCode::kInvalidArgument, EINVAL, "not a name for a workspace",
              "1 to 64 of a-z, 0-9 and _"};
    case EEXIST: return {ErrorCode::kBusy, EEXIST, called + " is alive", "adopt or discard it"};
    case ENOENT: return {ErrorCode::kNotFound, ENOENT, called + " is not alive", {}};
    case EDQUOT:
      return {ErrorCode::kLimitExceeded, EDQUOT, "too many durable workspaces are alive",
              "end some, or wait for their end"};
    case EAGAIN: return {ErrorCode::kUnavailable, EAGAIN, called + " does not answer", "try again"};
    default: return base::errno_error(called, answer.os_errno);
  }
}

// The launcher checks it as well; it hangs up on what cannot even be a request.
base::Status check_name(std::string_view name) {
  if (jail::is_durable_name(name)) return {};
  return base::fail(refusal({.os_errno = EINVAL}, name));
}

// Sends `request` and gives back our end of the channel for what is answered.
template <typename Request>
base::Result<UniqueFd> ask(int control, const Request& request) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return base::fail_errno("socketpair");
  }
  UniqueFd ours(pair[0]);
  const UniqueFd theirs(pair[1]);
  const int fds[] = {theirs.get()};
  const int error = jail::send_message(control, request, fds);
  if (error == EPIPE || error == ECONNRESET) {
    return base::fail(ErrorCode::kUnavailable, "the launcher is gone");
  }
  if (error != 0) return base::fail(base::errno_error("ask the launcher", error));
  return ours;
}

// The next packet, of a kind that is expected here or a refusal.
base::Status receive_answer(const UniqueFd& channel, std::span<char> buffer, jail::Packet* packet,
                            std::string_view name, int timeout_ms = kAnswerTimeoutMs) {
  pollfd set = {channel.get(), POLLIN, 0};
  int count = 0;
  do { count = poll(&set, 1, timeout_ms); } while (count < 0 && errno == EINTR);
  if (count != 1) {
    return base::fail(ErrorCode::kUnavailable,
                      "no answer about the workspace '" + std::string(name) + "' in time");
  }
  if (jail::receive_packet(channel.get(), buffer, MSG_DONTWAIT, packet) !=
      jail::ReceiveStatus::kPacket) {
    return base::fail(ErrorCode::kUnavailable,
                      "launcher or keeper hung up on the workspace '" + std::string(name) + "'");
  }
  jail::WorkspaceAnswer answer;
  if (jail::decode(packet->bytes, &answer) && answer.os_errno != 0) {
    return base::fail(refusal(answer, name));
  }
  return {};
}

base::Error unknown_message() {
  return {ErrorCode::kProtocol, 0, "the keeper sent an unknown message", {}};
}

base::Result<AdoptedChannels> receive_adopted(UniqueFd channel, std::string_view name) {
  char buffer[kAnswerBytesMax];
  jail::Packet packet;
  AIRLOCK_TRY(receive_answer(channel, buffer, &packet, name));
  jail::Adopted said;
  if (!jail::decode(packet.bytes, &said)) return base::fail(unknown_message());
  AdoptedChannels adopted;
  adopted.channel = std::move(channel);
  adopted.has_sandbox = said.has_sandbox;
  adopted.seccomp_profile = said.seccomp_profile;
  for (std::uint32_t left = said.processes; left > 0; --left) {
    AIRLOCK_TRY(receive_answer(adopted.channel, buffer, &packet, name));
    jail::AdoptedProcess process;
    if (!jail::decode(packet.bytes, &process)) return base::fail(unknown_message());
    adopted.processes.push_back(
        {std::string(process.tag), std::string(process.seccomp_profile), std::move(packet.fds[0])});
  }
  return adopted;
}

}  // namespace

base::Result<AdoptedChannels> open_durable(int control, const jail::OpenWorkspace& request) {
  AIRLOCK_TRY(check_name(request.name));
  AIRLOCK_ASSIGN(UniqueFd channel, ask(control, request));
  return receive_adopted(std::move(channel), request.name);
}

base::Result<AdoptedChannels> adopt_durable(int control, const std::string& name) {
  AIRLOCK_TRY(check_name(name));
  AIRLOCK_ASSIGN(UniqueFd channel, ask(control, jail::AdoptWorkspace{.name = name}));
  return receive_adopted(std::move(channel), name);
}

base::Result<std::vector<std::string>> list_durable(int control) {
  AIRLOCK_ASSIGN(const UniqueFd channel, ask(control, jail::ListWorkspaces{}));
  char buffer[kAnswerBytesMax];
  jail::Packet packet;
  AIRLOCK_TRY(receive_answer(channel, buffer, &packet, "*"));
  jail::WorkspaceNames said;
  if (!jail::decode(packet.bytes, &said)) return base::fail(unknown_message());
  std::vector<std::string> names;
  said.names.for_each([&](std::string_view name) { names.emplace_back(name); });
  return names;
}

base::Status discard_durable(int control, const std::string& name) {
  AIRLOCK_TRY(check_name(name));
  AIRLOCK_ASSIGN(const UniqueFd channel, ask(control, jail::DiscardWorkspace{.name = name}));
  char buffer[kAnswerBytesMax];
  jail::Packet packet;
  AIRLOCK_TRY(receive_answer(channel, buffer, &packet, name, kDiscardTimeoutMs));
  jail::WorkspaceAnswer done;
  if (!jail::decode(packet.bytes, &done)) return base::fail(unknown_message());
  return {};
}

bool wait_for_end(int channel) {
  char buffer[256];
  pollfd set = {channel, POLLIN, 0};
  while (poll(&set, 1, kEndTimeoutMs) > 0) {
    jail::Packet packet;
    const auto status = jail::receive_packet(channel, buffer, MSG_DONTWAIT, &packet);
    if (status == jail::ReceiveStatus::kClosed || status == jail::ReceiveStatus::kFailed)
      return true;
  }
  return false;
}

}  // namespace airlock::backend::native
