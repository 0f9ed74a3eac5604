// Steps of making a sandbox that every tier has (setup.cc).
//
// lower.h has those of the other tiers. What fails is told to the keeper and ends us; nothing is
// undone, since all of it ends with the namespaces or the place of the slot.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <span>
#include <string_view>

#include "apps/init/init.h"

namespace airlock::init {

[[noreturn]] void fail_setup(jail::Stage stage, int error);
inline void require(bool done, jail::Stage stage) {
  if (!done) fail_setup(stage, errno);
}

// Every argument as the register it travels in.
template <typename... Arguments>
bool call(long number, Arguments... arguments) {
  return syscall(number, (long)arguments...) >= 0;
}

// What the keeper sends needs no check but that it is there; a keeper that is gone has nobody to be
// told.
template <typename Message>
Message await(std::span<char> buffer, jail::Packet* packet) {
  Message message;
  const bool received =
      jail::receive_packet(kChannelFd, buffer, 0, packet) == jail::ReceiveStatus::kPacket &&
      jail::decode(packet->bytes, &message);
  if (!received) _exit(1);
  return message;
}

bool raise_loopback();
bool set_host_name();
// Effective and permitted; the inheritable and with them the ambient set become empty.
void set_capabilities(std::uint64_t wanted);
// Becomes uid and gid `view.init_id`, with `capabilities` of our user namespace, not dumpable.
void take_identity(const jail::ViewSetup& view, std::uint64_t capabilities);
// Before the first process is made, so that none has to: init executes nothing any more.
void empty_bounding_set();
// `fd` on 0 to 2.
void take_streams(int fd);

}  // namespace airlock::init
