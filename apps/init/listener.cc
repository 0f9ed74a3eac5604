// The one door of a sandbox with a gateway: a socket that listens inside and is accepted outside.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>

#include "apps/init/init.h"
#include "base/unique_fd.h"

namespace airlock::init {
namespace {

constexpr long kBacklog = 4'096;  // as many as the kernel's own default lets wait
constexpr std::uint32_t kLoopback = 0x7f000001;

base::UniqueFd make_listener(std::uint16_t port) {
  base::UniqueFd socket(static_cast<int>(syscall(
      SYS_socket, static_cast<long>(AF_INET), static_cast<long>(SOCK_STREAM | SOCK_CLOEXEC), 0L)));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = __builtin_bswap16(port);
  address.sin_addr.s_addr = __builtin_bswap32(kLoopback);
  const long fd = socket.get();
  const bool made = socket.valid() &&
                    syscall(SYS_bind, fd, &address, static_cast<long>(sizeof address)) == 0 &&
                    syscall(SYS_listen, fd, kBacklog) == 0;
  if (!made) return {};
  return socket;
}

}  // namespace

// We keep nothing of it: no process that we start could inherit it.
void open_listener(const jail::Listen& request) {
  const base::UniqueFd socket = make_listener(request.port);
  const int error = socket.valid() ? 0 : errno;
  const int fds[] = {socket.get()};
  jail::send_message(kChannelFd, jail::Listener{error},
                     std::span<const int>(fds, socket.valid() ? 1 : 0));
}

}  // namespace airlock::init
