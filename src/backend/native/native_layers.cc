#include "backend/native/native_layers.h"

#include <sys/socket.h>
#include <cerrno>
#include <chrono>
#include <utility>

#include "jail/channel.h"
#include "jail/layer_store.h"
#include "jail/wire_grants.h"

namespace airlock::backend::native {
namespace {

constexpr std::size_t kAnswerBytesMax = 4'096;

std::unexpected<base::Error> fail_order(const std::string& what, int os_errno) {
  base::Error error = base::errno_error(what, os_errno);
  switch (os_errno) {
    case EINVAL:
      error.code = base::ErrorCode::kInvalidArgument;
      error.hint = "a layer's name has 1 to 96 of a-z, 0-9 and _";
      break;
    case ENOENT: error.code = base::ErrorCode::kNotFound; break;
    case EBUSY: error.code = base::ErrorCode::kBusy; break;
    case ENOTSUP: error.code = base::ErrorCode::kUnavailable; break;
    case EROFS:
      error.code = base::ErrorCode::kInvalidArgument;
      error.hint = "the /build of this sandbox is a layer itself";
      break;
    case ELOOP:
      error.code = base::ErrorCode::kLimitExceeded;
      error.hint = "it is deeper than 64 folders";
      break;
    case EDQUOT:
      error.code = base::ErrorCode::kLimitExceeded;
      error.hint = "it is larger than the workspace's disk limit, or there are too many layers";
      break;
    case ENOSPC: error.code = base::ErrorCode::kLimitExceeded; break;
    default: break;
  }
  return base::fail(std::move(error));
}

template <typename Message>
base::Status ask(int channel, const Message& message, const std::string& what) {
  const int error = jail::send_message(channel, message);
  if (error == 0) return {};
  return base::fail(base::ErrorCode::kUnavailable, what + ": the keeper is gone");
}

// The next message; `buffer` holds it.
base::Result<jail::Packet> receive(int channel, std::span<char> buffer, const std::string& what) {
  jail::Packet packet;
  switch (jail::receive_packet(channel, buffer, 0, &packet)) {
    case jail::ReceiveStatus::kPacket: return packet;
    case jail::ReceiveStatus::kMalformed:
      return base::fail(base::ErrorCode::kProtocol, what + ": an answer that is none");
    default: return base::fail(base::ErrorCode::kUnavailable, what + ": the keeper died");
  }
}

base::Result<std::vector<LayerInfo>> carry_out(int channel, jail::LayerVerb verb,
                                               std::string_view name, const std::string& what) {
  AIRLOCK_TRY(ask(channel, jail::LayerOrder{verb, name}, what));
  std::vector<LayerInfo> found;
  char buffer[kAnswerBytesMax];
  while (true) {
    AIRLOCK_ASSIGN(const jail::Packet packet, receive(channel, buffer, what));
    jail::LayerListed listed;
    jail::LayersDone done;
    if (jail::decode(packet.bytes, &listed) && found.size() < jail::kLayersMax) {
      const std::chrono::microseconds used(listed.used_us);
      found.push_back({std::string(listed.name), base::ByteCount(listed.bytes),
                       std::chrono::sys_time<std::chrono::microseconds>(used)});
    } else if (jail::decode(packet.bytes, &done)) {
      if (done.os_errno != 0) return fail_order(what, done.os_errno);
      return found;
    } else {
      return base::fail(base::ErrorCode::kProtocol, what + ": an answer that is none");
    }
  }
}

}  // namespace

base::Result<KeptLayer> keep_layer(int channel, const std::string& name) {
  const std::string what = "keep /build as layer " + name;
  AIRLOCK_TRY(ask(channel, jail::KeepLayer{name}, what));
  char buffer[kAnswerBytesMax];
  AIRLOCK_ASSIGN(const jail::Packet packet, receive(channel, buffer, what));
  jail::LayerKept kept;
  if (!jail::decode(packet.bytes, &kept)) {
    return base::fail(base::ErrorCode::kProtocol, what + ": an answer that is none");
  }
  if (kept.os_errno != 0) return fail_order(what, kept.os_errno);
  return KeptLayer{kept.existed, base::ByteCount(kept.bytes), kept.entries, kept.skipped};
}

base::Result<std::vector<LayerInfo>> list_layers(int channel) {
  return carry_out(channel, jail::LayerVerb::kList, {}, "list layers");
}

base::Result<bool> has_layer(int channel, const std::string& name) {
  const auto found = carry_out(channel, jail::LayerVerb::kFind, name, "find layer " + name);
  if (found) return true;
  if (found.error().code == base::ErrorCode::kNotFound) return false;
  return base::fail(found.error());
}

base::Status remove_layer(int channel, const std::string& name) {
  AIRLOCK_TRY(carry_out(channel, jail::LayerVerb::kRemove, name, "remove layer " + name));
  return {};
}

}  // namespace airlock::backend::native
