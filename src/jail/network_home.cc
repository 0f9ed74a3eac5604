#include "jail/network_home.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "base/unique_fd.h"
#include "jail/test_hooks.h"
#include "sys/files.h"

namespace airlock::jail {
namespace {

bool raise_loopback() {
  const base::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", sizeof "lo");
  request.ifr_flags = IFF_UP;
  return socket.valid() && ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

constexpr std::size_t kUnixTableBytesMax = 4'096;  // a keeper has a handful of them

// A socket that was sent to itself outlives its process until the kernel finds that nobody can
// reach it. Those of keepers have no name; names begin with one of these.
bool has_named_sockets() {
  const auto sockets = sys::read_file_at(AT_FDCWD, "/proc/thread-self/net/unix");
  return !sockets.has_value() || sockets->size() > kUnixTableBytesMax ||
         sockets->find_first_of("@/") != std::string::npos;
}

}  // namespace

bool NetworkHome::provide() {
  if (refused_) return false;
  if (!as_new_) refused_ = unshare(CLONE_NEWNET) != 0 || !raise_loopback();
  as_new_ = false;  // until it is given back
  return !refused_;
}

void NetworkHome::give_back(bool touched) {
  as_new_ = (!touched && !has_named_sockets()) || switched_off("network_renewal");
}

}  // namespace airlock::jail
