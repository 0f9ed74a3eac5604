// The stream between a shim on the host and airlock-link in a container: frames of many channels.
//
// A container is reached by its stdin and stdout, over which no descriptor can be passed. What
// keeper and init say to one another by packets with descriptors (jail/wire.h) travels as frames:
// a packet names a channel for each of its descriptors, whose bytes follow by themselves. Channel 0
// is that of keeper and init. Who opens a channel numbers it: the host even, the guest odd.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jail/wire.h"

namespace airlock::link {

enum class FrameType : std::uint8_t {
  kPacket = 1,  // payload: count of descriptors, a FrameFd for each, the packet
  kData,        // payload: bytes of a stream
  kEnd,         // nothing more comes on this channel from here
  kStop,        // nobody reads any more what comes on this channel from there
  kCredit,      // payload: u32, so many bytes of kData were taken
  kAccept,      // of a listener; payload: u32, the channel of the new connection
};

// What becomes of a descriptor of a packet, seen by who gets the packet.
enum class FdKind : std::uint8_t {
  kRead = 1,  // one to read from: bytes will come
  kWrite,     // one to write to: bytes go back
  kPackets,   // a socket for packets, both ways
  kFile,      // a regular file: bytes will come, and the packet is given out after the last one
  kListener,  // a listening socket
};

struct FrameHeader {
  std::uint32_t size;  // of the payload
  std::uint32_t channel;
  FrameType type;
  std::uint8_t unused[3];
};
static_assert(sizeof(FrameHeader) == 12);

struct FrameFd {
  std::uint32_t channel;
  FdKind kind;
  std::uint8_t unused[3];
};
static_assert(sizeof(FrameFd) == 8);

inline constexpr std::uint32_t kRootChannel = 0;
// So much of a stream may be under way; who gets more ends the link.
inline constexpr std::uint32_t kWindowBytes = 256 * 1024;
inline constexpr std::size_t kDataBytesMax = 32 * 1024;
inline constexpr std::size_t kPayloadBytesMax =
    jail::kMessageBytesMax + 1 + jail::kMessageFdsMax * sizeof(FrameFd);
// Open at once; a listener's connections are among them.
inline constexpr std::size_t kChannelsMax = 512;

}  // namespace airlock::link
