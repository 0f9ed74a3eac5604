// The local side of a tunnel: what is given out there, and what is read there.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <utility>

#include "link/tunnel.h"

namespace airlock::link {
namespace {

using base::UniqueFd;

// Above it nothing is taken from the link either.
constexpr std::size_t kToSendHardMax = 4 << 20;

}  // namespace

// --- to the local side --------------------------------------------------------------------------

// In order, and none before its files are there. False: the root is gone.
bool Tunnel::give_out(Channel* channel) {
  while (!channel->packets.empty() && channel->packets.front().awaited_files == 0) {
    Outgoing& packet = channel->packets.front();
    if (packet.after_streams && !outputs_are_through()) return true;
    int fds[jail::kMessageFdsMax];
    std::size_t count = 0;
    for (const UniqueFd& fd : packet.fds) fds[count++] = fd.get();
    const int error = jail::send_packet(channel->fd.get(), packet.bytes,
                                        std::span<const int>(fds, count), MSG_DONTWAIT);
    if (error == EAGAIN) return true;
    channel->packets.pop_front();
    if (error == 0) continue;
    channel->packets.clear();
    if (channel->id == kRootChannel) {
      end_ = TunnelEnd::kRootClosed;
      return false;
    }
    channel->ending = true;
  }
  if (channel->ending && channel->packets.empty()) {
    channel->reads = channel->writes = false;
    channel->fd.reset();
  }
  return true;
}

bool Tunnel::write_local(Channel* channel) {
  std::size_t written = 0;
  while (written < channel->pending.size()) {
    const ssize_t count = write(channel->fd.get(), channel->pending.data() + written,
                                channel->pending.size() - written);
    if (count > 0) {
      written += static_cast<std::size_t>(count);
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    // Nobody reads it any more: so it is for who writes it, over there.
    channel->pending.clear();
    channel->writes = false;
    if (!channel->reads) channel->fd.reset();
    frame(FrameType::kStop, channel->id, {});
    return true;
  }
  channel->pending.erase(0, written);
  if (written > 0) {
    frame_number(FrameType::kCredit, channel->id, static_cast<std::uint32_t>(written));
  }
  if (!channel->ending || !channel->pending.empty()) return true;
  channel->writes = false;
  if (channel->reads) {
    shutdown(channel->fd.get(), SHUT_WR);
  } else {
    channel->fd.reset();
  }
  return true;
}

// A guest that sends faster than what it sends to takes it has to wait.
bool Tunnel::any_waits() const {
  constexpr std::size_t kPacketsMax = 64;
  if (to_send_.size() - sent_ > kToSendHardMax) return true;
  return std::ranges::any_of(channels_, [](const Channel& channel) {
    return channel.packets.size() > kPacketsMax && channel.packets.front().awaited_files == 0;
  });
}

// --- from the local side ------------------------------------------------------------------------

bool Tunnel::read_local(Channel* channel) {
  switch (channel->kind) {
    case Kind::kPackets: return read_packets(channel);
    case Kind::kStream: return read_stream(channel);
    case Kind::kListener: return accept_one(channel);
    case Kind::kFile: break;
  }
  return true;
}

bool Tunnel::read_packets(Channel* channel) {
  jail::Packet packet;
  switch (jail::receive_packet(channel->fd.get(), buffer_, MSG_DONTWAIT, &packet)) {
    case jail::ReceiveStatus::kWouldBlock: return true;
    case jail::ReceiveStatus::kPacket: break;
    default:
      if (channel->id == kRootChannel) {
        end_ = TunnelEnd::kRootClosed;
        return false;
      }
      channel->reads = false;
      channel->ending = true;
      channel->packets.clear();
      channel->fd.reset();
      frame(FrameType::kEnd, channel->id, {});
      return true;
  }
  if (channel->id == kRootChannel && on_sent_) {
    const Sent sent = on_sent_(&packet);
    if (sent == Sent::kTaken) return true;
    end_ = TunnelEnd::kFailed;
    if (sent == Sent::kEnd) return false;
  }
  if (side_ == Side::kGuest && jail::message_type(packet.bytes) == jail::MessageType::kInitExited) {
    held_ = packet.bytes;
    return send_held();
  }
  send_packet(channel->id, packet.bytes, std::span(packet.fds).first(packet.fd_count));
  return true;
}

bool Tunnel::outputs_are_through() {
  if (side_ == Side::kHost) {
    return std::ranges::all_of(channels_, [](const Channel& channel) {
      return !channel.is_output || channel.pending.empty();
    });
  }
  bool through = true;
  for (Channel& channel : channels_) {
    pollfd more = {channel.fd.get(), POLLIN, 0};
    while (channel.is_output && channel.reads && poll(&more, 1, 0) > 0) {
      if (channel.credit == 0) {
        through = false;
        break;
      }
      if (!read_stream(&channel)) return false;
    }
  }
  return through;
}

// Of processes: each has one of its own.
void Tunnel::read_handshakes() {
  for (Channel& channel : channels_) {
    if (channel.kind != Kind::kPackets || channel.id == kRootChannel) continue;
    pollfd more = {channel.fd.get(), POLLIN, 0};
    while (channel.reads && poll(&more, 1, 0) > 0) read_packets(&channel);
  }
}

bool Tunnel::send_held() {
  if (held_.empty()) return true;
  read_handshakes();
  if (!outputs_are_through()) return true;
  send_packet(kRootChannel, std::exchange(held_, {}), {});
  return true;
}

bool Tunnel::read_stream(Channel* channel) {
  const std::size_t wanted =
      std::min<std::uint64_t>({buffer_.size(), kDataBytesMax, channel->credit, channel->left});
  if (channel->credit == 0) return true;  // used up since it was looked at
  ssize_t count = 0;
  if (wanted > 0) {
    count = channel->is_regular ? pread(channel->fd.get(), buffer_.data(), wanted,
                                        static_cast<off_t>(channel->offset))
                                : read(channel->fd.get(), buffer_.data(), wanted);
  }
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (count <= 0) {
    stop_reading(channel);
    return true;
  }
  channel->credit -= static_cast<std::uint32_t>(count);
  channel->offset += static_cast<std::uint64_t>(count);
  if (channel->is_regular) channel->left -= static_cast<std::uint64_t>(count);
  frame(FrameType::kData, channel->id, {buffer_.data(), static_cast<std::size_t>(count)});
  return true;
}

bool Tunnel::accept_one(Channel* channel) {
  if (channels_.size() >= kChannelsMax) return true;
  UniqueFd connection(accept4(channel->fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!connection.valid()) return true;
  const std::uint32_t listener = channel->id;
  const std::uint32_t id = add_own(Kind::kStream, std::move(connection), true, true);
  frame_number(FrameType::kAccept, listener, id);
  return true;
}

void Tunnel::stop_reading(Channel* channel) {
  if (channel->kind != Kind::kStream || !channel->reads) return;
  channel->reads = false;
  if (!channel->writes) channel->fd.reset();
  frame(FrameType::kEnd, channel->id, {});
}

UniqueFd Tunnel::release_root() {
  Channel* const root = find(kRootChannel);
  if (root == nullptr) return {};
  fcntl(root->fd.get(), F_SETFL, fcntl(root->fd.get(), F_GETFL) & ~O_NONBLOCK);
  return std::move(root->fd);
}

TunnelEnd Tunnel::say_the_rest() {
  if (side_ == Side::kHost) return end_;  // a keeper that is gone wants nothing of its container
  while (sent_ < to_send_.size()) {
    pollfd room = {out_.get(), POLLOUT, 0};
    if (poll(&room, 1, -1) < 0 && errno != EINTR) break;
    if (!write_link()) break;
  }
  return TunnelEnd::kRootClosed;
}

TunnelEnd Tunnel::give_out_the_rest() {
  if (side_ == Side::kGuest) return TunnelEnd::kLinkClosed;
  bool is_open = true;
  while (true) {
    to_send_.clear();  // nobody takes it
    sent_ = 0;
    if (is_open && !any_waits()) {
      is_open = read_link();
      if (!is_open && end_ != TunnelEnd::kLinkClosed) return end_;
    } else if (!take_frames()) {
      return end_;
    }
    Channel& root = channels_.front();
    if (!give_out(&root)) return end_;
    const bool may_tell = !root.packets.empty() && root.packets.front().awaited_files == 0;
    const bool tells = may_tell && outputs_are_through();
    std::vector<pollfd> set = {{root.fd.get(), static_cast<short>(tells ? POLLOUT : 0), 0}};
    std::vector<std::uint32_t> ids;
    for (const Channel& channel : channels_) {
      if (!channel.is_output || channel.pending.empty()) continue;
      set.push_back({channel.fd.get(), POLLOUT, 0});
      ids.push_back(channel.id);
    }
    if (ids.empty() && !tells && !is_open) return TunnelEnd::kLinkClosed;
    if (is_open && !any_waits()) set.push_back({in_.get(), POLLIN, 0});
    if (poll(set.data(), set.size(), -1) < 0 && errno != EINTR) return TunnelEnd::kFailed;
    if ((set[0].revents & (POLLHUP | POLLERR)) != 0) return TunnelEnd::kRootClosed;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      Channel* const channel = set[i + 1].revents != 0 ? find(ids[i]) : nullptr;
      if (channel != nullptr && !write_local(channel)) return end_;
    }
  }
}

}  // namespace airlock::link
