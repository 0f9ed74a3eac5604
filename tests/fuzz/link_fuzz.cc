// The host's end of a link, with a container that sends anything: it never crashes, ends at the
// latest when the container does, and keeps nothing open.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <thread>

#include "link/tunnel.h"

namespace {

using airlock::base::UniqueFd;
using airlock::jail::Packet;
using airlock::jail::ReceiveStatus;

constexpr std::size_t kBytesMax = 64 * 1024;  // fits a socket: nobody reads while it is written

void read_packets(int fd) {
  char buffer[airlock::jail::kMessageBytesMax];
  Packet packet;
  while (true) {
    // What makes no sense as a packet is for the keeper to find, who then ends the sandbox.
    const ReceiveStatus status = airlock::jail::receive_packet(fd, buffer, 0, &packet);
    if (status != ReceiveStatus::kPacket && status != ReceiveStatus::kMalformed) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > kBytesMax) return 0;
  signal(SIGPIPE, SIG_IGN);
  int link[2];
  int root[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link) != 0) return 0;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, root) != 0) std::abort();
  UniqueFd container(link[1]);
  const UniqueFd keeper(root[0]);
  if (send(container.get(), data, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) std::abort();
  container.reset();
  UniqueFd in(link[0]);
  UniqueFd out(fcntl(in.get(), F_DUPFD_CLOEXEC, 3));
  std::thread reader(read_packets, keeper.get());
  {
    airlock::link::Tunnel tunnel({.side = airlock::link::Side::kHost,
                                  .in = std::move(in),
                                  .out = std::move(out),
                                  .root = UniqueFd(root[1]),
                                  .scratch_directory = "/tmp"});
    (void)tunnel.run();
  }
  reader.join();
  return 0;
}
