#include "link/tunnel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace airlock::link {
namespace {

using base::UniqueFd;

// Above it nothing is read that would be sent.
constexpr std::size_t kToSendSoftMax = 1 << 20;
// What tells of collected files is not counted against them.
constexpr std::uint64_t kFileSlackBytes = 64 * 1024;

void set_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

// For what the local side gets of a packet's descriptor: its own end first.
std::pair<UniqueFd, UniqueFd> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::pair<UniqueFd, UniqueFd> make_pair(int type) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) return {};
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// By the message that a descriptor comes with: which way its bytes go cannot be seen from a
// descriptor that is open for both. nullopt: it stays here.
std::optional<FdKind> kind_of(jail::MessageType type, std::size_t index) {
  switch (type) {
    case jail::MessageType::kExec:
      if (index == 0) return FdKind::kPackets;
      if (index == 1) return FdKind::kRead;
      if (index <= 3) return FdKind::kWrite;
      return std::nullopt;
    case jail::MessageType::kPutFile: return FdKind::kRead;
    case jail::MessageType::kCollectedFile: return FdKind::kFile;
    case jail::MessageType::kListener: return FdKind::kListener;
    default: return std::nullopt;
  }
}

// What init and new processes say, and nobody else: the keeper believes init in what a container
// must not make up.
bool is_a_containers(jail::MessageType type, bool on_root) {
  switch (type) {
    case jail::MessageType::kInitReady:
    case jail::MessageType::kInitExited:
    case jail::MessageType::kInitPutDone:
    case jail::MessageType::kListener:
    case jail::MessageType::kCollectedFile:
    case jail::MessageType::kRefusedFile:
    case jail::MessageType::kCollectDone: return on_root;
    case jail::MessageType::kStarting:
    case jail::MessageType::kStartFailed: return !on_root;
    default: return false;
  }
}

}  // namespace

Tunnel::Tunnel(TunnelOptions options)
    : side_(options.side),
      in_(std::move(options.in)),
      out_(std::move(options.out)),
      scratch_(std::move(options.scratch_directory)),
      unwrap_(std::move(options.unwrap)),
      on_sent_(std::move(options.on_sent)),
      on_received_(std::move(options.on_received)),
      next_id_(options.side == Side::kHost ? 2 : 1),
      buffer_(jail::kMessageBytesMax) {
  set_nonblocking(in_.get());
  set_nonblocking(out_.get());
  Channel* const root = add(kRootChannel, Kind::kPackets, std::move(options.root));
  root->reads = root->writes = true;
}

Tunnel::Channel* Tunnel::add(std::uint32_t id, Kind kind, UniqueFd fd) {
  if (fd.valid() && kind != Kind::kFile) set_nonblocking(fd.get());
  Channel& channel = channels_.emplace_back();
  channel.id = id;
  channel.kind = kind;
  channel.fd = std::move(fd);
  return &channel;
}

std::uint32_t Tunnel::add_own(Kind kind, UniqueFd fd, bool reads, bool writes) {
  Channel* const channel = add(next_id_, kind, std::move(fd));
  next_id_ += 2;
  channel->reads = reads;
  channel->writes = writes;
  return channel->id;
}

Tunnel::Channel* Tunnel::find(std::uint32_t id) {
  const auto found = std::ranges::find(channels_, id, &Channel::id);
  return found == channels_.end() ? nullptr : &*found;
}

void Tunnel::frame(FrameType type, std::uint32_t channel, std::string_view payload) {
  const FrameHeader header{static_cast<std::uint32_t>(payload.size()), channel, type, {}};
  to_send_.append(reinterpret_cast<const char*>(&header), sizeof header);
  to_send_.append(payload);
}

void Tunnel::frame_number(FrameType type, std::uint32_t channel, std::uint32_t number) {
  frame(type, channel, {reinterpret_cast<const char*>(&number), sizeof number});
}

void Tunnel::send(std::string_view packet) { send_packet(kRootChannel, packet, {}); }

void Tunnel::give(std::string packet) {
  channels_.front().packets.emplace_back().bytes = std::move(packet);
}

// How much the guest may send of files follows from what it was asked for.
void Tunnel::note_root_packet(std::string_view packet) {
  jail::Collect request;
  if (side_ == Side::kHost && jail::decode(packet, &request)) {
    file_bytes_left_ = request.total_bytes_max + kFileSlackBytes;
  }
}

void Tunnel::send_packet(std::uint32_t id, std::string_view bytes, std::span<UniqueFd> fds) {
  note_root_packet(bytes);
  const jail::MessageType type = jail::message_type(bytes);
  std::string payload(1, '\0');
  for (std::size_t i = 0; i < fds.size(); ++i) {
    const auto kind = kind_of(type, i);
    if (!kind.has_value() || channels_.size() >= kChannelsMax) continue;
    std::uint32_t channel = 0;
    struct stat status{};
    switch (*kind) {
      case FdKind::kPackets:
        channel = add_own(Kind::kPackets, std::move(fds[i]), true, true);
        break;
      case FdKind::kWrite:
        channel = add_own(Kind::kStream, std::move(fds[i]), false, true);
        find(channel)->is_output = true;
        break;
      case FdKind::kListener:
        channel = add_own(Kind::kListener, std::move(fds[i]), true, false);
        break;
      case FdKind::kRead:
      case FdKind::kFile:
        // No more than there was when it was named: whoever else has the file may go on writing.
        if (fstat(fds[i].get(), &status) != 0) continue;
        channel = add_own(Kind::kStream, std::move(fds[i]), true, false);
        if (S_ISREG(status.st_mode)) {
          find(channel)->is_regular = true;
          find(channel)->left = static_cast<std::uint64_t>(status.st_size);
        }
        break;
    }
    const FrameFd described{channel, *kind, {}};
    payload.append(reinterpret_cast<const char*>(&described), sizeof described);
    ++payload[0];
  }
  payload.append(bytes);
  frame(FrameType::kPacket, id, payload);
}

// --- from the link ------------------------------------------------------------------------------

bool Tunnel::read_link() {
  constexpr std::size_t kAtOnce = 64 * 1024;
  std::string& into = unwrap_ ? wrapped_ : received_;
  const std::size_t size = into.size();
  into.resize(size + kAtOnce);
  const ssize_t count = read(in_.get(), into.data() + size, kAtOnce);
  into.resize(size + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  if (count > 0 && unwrap_ && !unwrap_(&wrapped_, &received_)) {
    end_ = TunnelEnd::kProtocol;
    return false;
  }
  if (count > 0) return take_frames();
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  end_ = TunnelEnd::kLinkClosed;
  return false;
}

bool Tunnel::take_frames() {
  FrameHeader header;
  end_ = TunnelEnd::kProtocol;
  while (received_.size() - taken_ >= sizeof header && !any_waits()) {
    std::memcpy(&header, received_.data() + taken_, sizeof header);
    if (header.size > kPayloadBytesMax) return false;
    if (received_.size() - taken_ < sizeof header + header.size) break;
    const std::string_view payload(received_.data() + taken_ + sizeof header, header.size);
    if (!take_frame(header, payload)) return false;
    taken_ += sizeof header + header.size;
  }
  received_.erase(0, taken_);
  taken_ = 0;
  return true;
}

bool Tunnel::take_frame(const FrameHeader& header, std::string_view payload) {
  Channel* const channel = find(header.channel);
  // What was said of a channel before its end was known there.
  if (channel == nullptr) return header.type != FrameType::kPacket;
  std::uint32_t number = 0;
  switch (header.type) {
    case FrameType::kPacket:
      return channel->kind == Kind::kPackets && take_packet(channel, payload);
    case FrameType::kData: return take_data(channel, payload);
    case FrameType::kEnd: return take_end(channel);
    case FrameType::kStop: stop_reading(channel); return true;
    case FrameType::kAccept: return take_accept(*channel, payload);
    case FrameType::kCredit:
      if (payload.size() != sizeof number) return false;
      std::memcpy(&number, payload.data(), sizeof number);
      if (number > kWindowBytes - std::min(kWindowBytes, channel->credit)) return false;
      channel->credit += number;
      return true;
  }
  return false;
}

bool Tunnel::take_packet(Channel* channel, std::string_view payload) {
  constexpr std::size_t kPacketsMax = 256;
  if (payload.empty() || channel->packets.size() >= kPacketsMax) return false;
  const auto count = static_cast<std::size_t>(static_cast<unsigned char>(payload[0]));
  const std::string_view described = payload.substr(1);
  if (count > jail::kMessageFdsMax || described.size() < count * sizeof(FrameFd)) return false;
  const std::string_view bytes = described.substr(count * sizeof(FrameFd));
  jail::Header header;
  if (bytes.size() < sizeof header) return false;
  const bool is_root = channel->id == kRootChannel;
  const jail::MessageType type = jail::message_type(bytes);
  if (side_ == Side::kHost && !is_a_containers(type, is_root)) return false;
  Outgoing& packet = channel->packets.emplace_back();
  packet.bytes = bytes;
  for (std::size_t i = 0; i < count; ++i) {
    FrameFd one;
    std::memcpy(&one, described.data() + i * sizeof one, sizeof one);
    if (!is_root || kind_of(type, i) != one.kind || !make_local(one, &packet)) return false;
  }
  if (on_received_) on_received_(&packet.bytes);
  packet.after_streams = jail::message_type(packet.bytes) == jail::MessageType::kInitExited;
  std::memcpy(&header, packet.bytes.data(), sizeof header);
  header.fd_count = static_cast<std::uint16_t>(packet.fds.size());
  std::memcpy(packet.bytes.data(), &header, sizeof header);
  return give_out(channel);
}

// What stands for a descriptor that was sent, on this side.
bool Tunnel::make_local(const FrameFd& described, Outgoing* packet) {
  if (is_own(described.channel) || find(described.channel) != nullptr ||
      channels_.size() >= kChannelsMax) {
    return false;
  }
  std::pair<UniqueFd, UniqueFd> ends;
  Channel* made = nullptr;
  switch (described.kind) {
    case FdKind::kRead:
      ends = make_pipe();
      made = add(described.channel, Kind::kStream, std::move(ends.second));
      made->writes = true;
      packet->fds.push_back(std::move(ends.first));
      break;
    case FdKind::kWrite:
      ends = make_pipe();
      made = add(described.channel, Kind::kStream, std::move(ends.first));
      made->reads = made->is_output = true;
      packet->fds.push_back(std::move(ends.second));
      break;
    case FdKind::kPackets:
      ends = make_pair(SOCK_SEQPACKET);
      made = add(described.channel, Kind::kPackets, std::move(ends.first));
      made->reads = made->writes = true;
      packet->fds.push_back(std::move(ends.second));
      break;
    case FdKind::kFile: {
      if (side_ != Side::kHost) return false;
      UniqueFd file = open_scratch_file();
      if (!file.valid()) {
        end_ = TunnelEnd::kFailed;
        return false;
      }
      packet->fds.emplace_back(fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
      made = add(described.channel, Kind::kFile, std::move(file));
      made->awaiting = packet;
      ++packet->awaited_files;
      break;
    }
    case FdKind::kListener: {
      if (side_ != Side::kHost || listeners_made_ != 0) return false;  // a sandbox has one
      UniqueFd listening;
      made = add(described.channel, Kind::kListener, {});
      if (!make_listener(made, &listening)) {
        end_ = TunnelEnd::kFailed;
        return false;
      }
      packet->fds.push_back(std::move(listening));
      break;
    }
    default: return false;
  }
  return packet->fds.back().valid();
}

UniqueFd Tunnel::open_scratch_file() const {
  return UniqueFd(open(scratch_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

// The caller accepts connections where it would accept those of a sandbox of its own kind; each of
// them is one that airlock-link has accepted inside.
bool Tunnel::make_listener(Channel* channel, UniqueFd* listening) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = scratch_ + "/gateway-" + std::to_string(getpid());
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  unlink(path.c_str());
  UniqueFd made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(made.get(), SOMAXCONN) != 0) {
    return false;
  }
  // Found by its inode from here on: no name is left behind, however we end.
  channel->fd.reset(open(path.c_str(), O_PATH | O_CLOEXEC));
  unlink(path.c_str());
  if (!channel->fd.valid()) return false;
  ++listeners_made_;
  channel->path = "/proc/self/fd/" + std::to_string(channel->fd.get());
  *listening = std::move(made);
  return true;
}

bool Tunnel::take_accept(const Channel& listener, std::string_view payload) {
  std::uint32_t id = 0;
  if (side_ != Side::kHost || listener.kind != Kind::kListener || payload.size() != sizeof id) {
    return false;
  }
  std::memcpy(&id, payload.data(), sizeof id);
  if (is_own(id) || find(id) != nullptr) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, listener.path.c_str(), listener.path.size() + 1);
  UniqueFd connection;
  if (channels_.size() < kChannelsMax) {
    connection.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }
  const bool connected =
      connection.valid() &&
      connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (!connected) {
    frame(FrameType::kStop, id, {});
    frame(FrameType::kEnd, id, {});
    return true;
  }
  Channel* const made = add(id, Kind::kStream, std::move(connection));
  made->reads = made->writes = true;
  return true;
}

bool Tunnel::take_data(Channel* channel, std::string_view payload) {
  if (channel->kind == Kind::kFile) {
    if (payload.size() > file_bytes_left_ || channel->awaiting == nullptr) return false;
    file_bytes_left_ -= payload.size();
    while (!payload.empty()) {
      const ssize_t count = write(channel->fd.get(), payload.data(), payload.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) {
        end_ = TunnelEnd::kFailed;
        return false;
      }
      frame_number(FrameType::kCredit, channel->id, static_cast<std::uint32_t>(count));
      payload.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  if (channel->kind != Kind::kStream || channel->ending) return false;
  if (!channel->writes) return true;  // it was stopped, which may not be known there yet
  if (channel->pending.size() + payload.size() > kWindowBytes) return false;
  channel->pending.append(payload);
  return write_local(channel);
}

bool Tunnel::take_end(Channel* channel) {
  switch (channel->kind) {
    case Kind::kFile:
      if (channel->awaiting == nullptr) return false;
      lseek(channel->fd.get(), 0, SEEK_SET);  // of the descriptor that is given out, too
      --channel->awaiting->awaited_files;
      channel->awaiting = nullptr;
      channel->fd.reset();
      return give_out(&channels_.front());
    case Kind::kPackets:
      if (channel->id == kRootChannel) return false;
      channel->reads = false;
      channel->ending = true;
      return give_out(channel);
    case Kind::kListener: channel->fd.reset(); return true;
    case Kind::kStream: break;
  }
  channel->ending = true;
  return write_local(channel);
}

// --- the loop -----------------------------------------------------------------------------------

bool Tunnel::write_link() {
  while (sent_ < to_send_.size()) {
    const ssize_t count = write(out_.get(), to_send_.data() + sent_, to_send_.size() - sent_);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count <= 0) {
      end_ = TunnelEnd::kLinkClosed;
      return false;
    }
    sent_ += static_cast<std::size_t>(count);
  }
  if (sent_ == to_send_.size() || sent_ > kToSendSoftMax) {
    to_send_.erase(0, sent_);
    sent_ = 0;
  }
  return true;
}

void Tunnel::drop_ended() {
  std::erase_if(channels_, [](const Channel& channel) {
    if (channel.kind == Kind::kListener) return channel.path.empty() && !channel.fd.valid();
    return !channel.fd.valid();
  });
}

TunnelEnd Tunnel::run() {
  std::vector<pollfd> set;
  std::vector<std::uint32_t> ids;
  while (true) {
    const std::size_t waiting = to_send_.size() - sent_;
    set.assign({{in_.get(), static_cast<short>(any_waits() ? 0 : POLLIN), 0},
                {out_.get(), static_cast<short>(waiting > 0 ? POLLOUT : 0), 0}});
    ids.clear();
    for (const Channel& channel : channels_) {
      short events = 0;
      const bool may_read = channel.kind == Kind::kListener
                                ? channels_.size() < kChannelsMax
                                : channel.kind != Kind::kStream || channel.credit > 0;
      const bool is_held = channel.id == kRootChannel && !held_.empty();
      if (channel.reads && may_read && !is_held && waiting < kToSendSoftMax) events |= POLLIN;
      if (!channel.pending.empty()) events |= POLLOUT;
      if (!channel.packets.empty() && channel.packets.front().awaited_files == 0 &&
          !channel.packets.front().after_streams) {
        events |= POLLOUT;
      }
      if (events == 0 || !channel.fd.valid()) continue;
      set.push_back({channel.fd.get(), events, 0});
      ids.push_back(channel.id);
    }
    // Of an end that is not polled for anything a hang-up is seen all the same: not of our input.
    if (set[0].events == 0) set[0].fd = -1;
    // Nor of an output that has nothing to take: whoever closed it is found out by the next write.
    if (waiting == 0) set[1].fd = -1;
    const int ready = poll(set.data(), set.size(), milliseconds_left());
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return TunnelEnd::kFailed;
    if (milliseconds_left() == 0) return TunnelEnd::kTimeout;
    bool ok = true;
    for (std::size_t i = 0; ok && i < ids.size(); ++i) {
      if (Channel* const channel = find(ids[i]); channel != nullptr) {
        serve(channel, set[i + 2].revents, &ok);
      }
    }
    if (ok && set[0].revents != 0) ok = read_link();
    if (ok && !received_.empty()) ok = take_frames();  // that had to wait
    if (ok) ok = send_held() && give_out(&channels_.front());
    if (ok) ok = write_link();
    if (!ok && end_ == TunnelEnd::kLinkClosed) return give_out_the_rest();
    if (!ok) return end_ == TunnelEnd::kRootClosed ? say_the_rest() : end_;
    drop_ended();
  }
}

void Tunnel::serve(Channel* channel, short events, bool* ok) {
  if (events == 0) return;
  if ((events & POLLOUT) != 0 || ((events & (POLLERR | POLLHUP)) != 0 && !channel->reads)) {
    *ok = channel->kind == Kind::kPackets ? give_out(channel) : write_local(channel);
    if (!*ok || !channel->fd.valid()) return;
  }
  if (channel->reads && (events & (POLLIN | POLLHUP | POLLERR)) != 0) *ok = read_local(channel);
}

}  // namespace airlock::link
