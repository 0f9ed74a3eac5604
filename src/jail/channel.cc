#include "jail/channel.h"

#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace airlock::jail {
namespace {

// Room for every descriptor we accept.
constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(int) * kMessageFdsMax);

void take_control_messages(msghdr* message, Packet* packet) {
  for (cmsghdr* entry = CMSG_FIRSTHDR(message); entry != nullptr;
       entry = CMSG_NXTHDR(message, entry)) {
    if (entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (entry->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(entry) + i * sizeof(int), sizeof fd);
      base::UniqueFd owned(fd);
      if (packet->fd_count < kMessageFdsMax) packet->fds[packet->fd_count++] = std::move(owned);
    }
  }
}

}  // namespace

ReceiveStatus receive_packet(int fd, std::span<char> buffer, int flags, Packet* packet) {
  *packet = Packet{};
  alignas(cmsghdr) char control[kControlBytes];
  iovec part = {buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t count = 0;
  bool reset = false;
  do {
    // A peer that closes before it has read all that we sent shows as ECONNRESET, once; what it
    // sent last is still there behind it.
    reset = count < 0 && errno == ECONNRESET;
    count = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
  } while (count < 0 && (errno == EINTR || (errno == ECONNRESET && !reset)));
  if (count < 0) {
    if (errno == EAGAIN) return ReceiveStatus::kWouldBlock;
    return errno == ECONNRESET ? ReceiveStatus::kClosed : ReceiveStatus::kFailed;
  }
  if (count == 0) return ReceiveStatus::kClosed;
  take_control_messages(&message, packet);
  packet->bytes = {buffer.data(), static_cast<std::size_t>(count)};
  Header header;
  const bool cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  if (cut || packet->bytes.size() < sizeof header) return ReceiveStatus::kMalformed;
  std::memcpy(&header, packet->bytes.data(), sizeof header);
  if (header.magic != kWireMagic || header.fd_count != packet->fd_count) {
    return ReceiveStatus::kMalformed;
  }
  return ReceiveStatus::kPacket;
}

int send_packet(int fd, std::string_view packet, std::span<const int> fds, int flags) {
  if (fds.size() > kMessageFdsMax) return EINVAL;
  alignas(cmsghdr) char control[kControlBytes] = {};
  iovec part = {const_cast<char*>(packet.data()), packet.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* const entry = CMSG_FIRSTHDR(&message);
    entry->cmsg_level = SOL_SOCKET;
    entry->cmsg_type = SCM_RIGHTS;
    entry->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(entry), fds.data(), fds.size_bytes());
  }
  ssize_t count = 0;
  do { count = sendmsg(fd, &message, flags | MSG_NOSIGNAL); } while (count < 0 && errno == EINTR);
  if (count < 0) return errno;
  return count == static_cast<ssize_t>(packet.size()) ? 0 : EMSGSIZE;
}

}  // namespace airlock::jail
