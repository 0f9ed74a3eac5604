// Channel operations: one packet with its file descriptors, sent or received whole.
//
// Allocation-free and signal-safe. A received packet that is too long, has too many descriptors or
// a descriptor count that differs from its header is an error, and no descriptor leaks.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/unique_fd.h"
#include "jail/wire.h"

namespace airlock::jail {

struct Packet {
  std::string_view bytes;  // borrows the buffer given to receive_packet
  base::UniqueFd fds[kMessageFdsMax];
  std::size_t fd_count = 0;
};

enum class ReceiveStatus {
  kPacket,
  kWouldBlock,
  kClosed,
  kMalformed,
  kFailed,  // errno says why
};

// `flags` as of recvmsg(2), e.g. MSG_DONTWAIT.
ReceiveStatus receive_packet(int fd, std::span<char> buffer, int flags, Packet* packet);

// Returns 0 or an errno. Never raises SIGPIPE.
int send_packet(int fd, std::string_view packet, std::span<const int> fds = {}, int flags = 0);

// Encodes on the stack and sends. For messages below 8 KiB, which no frame that stays is to hold.
template <typename Message>
[[gnu::noinline]] int send_message(int fd, const Message& message, std::span<const int> fds = {},
                                   int flags = 0) {
  char buffer[8 * 1024];
  const std::string_view packet = encode(message, buffer, fds.size());
  if (packet.empty()) return 90;  // EMSGSIZE
  return send_packet(fd, packet, fds, flags);
}

}  // namespace airlock::jail
