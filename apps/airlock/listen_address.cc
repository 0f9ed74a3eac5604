#include "apps/airlock/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstring>

#include "base/host_port.h"

namespace airlock::apps {
namespace {

constexpr std::string_view kScheme = "http://";
constexpr std::uint16_t kDefaultPort = 8088;
constexpr int kBacklog = 4'096;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

base::Result<ListenAddress> refuse(std::string_view url, std::string_view why) {
  return base::fail(
      base::ErrorCode::kInvalidArgument,
      "\"" + std::string(url) + "\" is not an address to listen on: " + std::string(why),
      "for example http://127.0.0.1:8088 or http://[::1]:8088");
}

// Why safe, of the casts of this file: a sockaddr_storage is large and aligned enough for both
// kinds, a sockaddr is what the system calls take for either, and the family says which it is.
bool fill(const ListenAddress& address, SocketAddress* out) {
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&out->storage);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&out->storage);
  if (::inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    out->size = sizeof *v4;
    return true;
  }
  if (::inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    out->size = sizeof *v6;
    return true;
  }
  return false;
}

bool is_loopback(const SocketAddress& address) {
  if (address.storage.ss_family == AF_INET) {
    const auto* const v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

}  // namespace

base::Result<ListenAddress> parse_listen_address(std::string_view url) {
  if (url.starts_with("https://")) {
    return refuse(url, "https is not served yet; put a proxy that ends TLS before it");
  }
  if (!url.starts_with(kScheme)) return refuse(url, "it has to begin with http://");
  std::string_view rest = url.substr(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  ListenAddress address{.host = {}, .port = kDefaultPort};
  const base::HostPort split = base::split_host_port(rest);
  if (split.port) {
    const std::string_view digits = *split.port;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
    if (digits.empty() || parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) {
      return refuse(url, "the port is a number from 0 to 65535");
    }
    rest = split.host;
  }
  if (rest.starts_with('[') && rest.ends_with(']')) {
    rest = rest.substr(1, rest.size() - 2);
  } else if (rest.find(':') != std::string_view::npos) {
    return refuse(url, "an IPv6 address stands in brackets");
  }
  address.host = rest == "localhost" ? "127.0.0.1" : std::string(rest);
  SocketAddress socket_address;
  if (!fill(address, &socket_address)) return refuse(url, "the host is no IP address");
  address.loopback = is_loopback(socket_address);
  return address;
}

std::string reachable_host(const std::string& host) {
  if (host == "0.0.0.0") return "127.0.0.1";
  return host == "::" ? "::1" : host;
}

base::Result<base::UniqueFd> open_listener(const ListenAddress& address) {
  SocketAddress socket_address;
  if (!fill(address, &socket_address)) {
    return base::fail(base::ErrorCode::kInvalidArgument, address.host + " is no IP address");
  }
  const std::string what = "listen on " + address.host + " port " + std::to_string(address.port);
  // Why safe: a new descriptor with one owner; the address and its size belong together.
  base::UniqueFd fd(
      ::socket(socket_address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return base::fail_errno(what);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&socket_address.storage),
             socket_address.size) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    base::Error error = base::errno_error(what);
    if (error.os_errno == EADDRINUSE) {
      error.hint = "something else listens there: choose another port with --listen";
    }
    return base::fail(std::move(error));
  }
  return fd;
}

base::Result<base::UniqueFd> connect_to(const ListenAddress& address, timeval patience) {
  SocketAddress socket_address;
  if (!fill(address, &socket_address)) {
    return base::fail(base::ErrorCode::kInvalidArgument, address.host + " is no IP address");
  }
  // Why safe: as in open_listener.
  base::UniqueFd fd(::socket(socket_address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  for (const int option : {SO_SNDTIMEO, SO_RCVTIMEO}) {
    ::setsockopt(fd.get(), SOL_SOCKET, option, &patience, sizeof patience);
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&socket_address.storage),
                socket_address.size) != 0) {
    return base::fail_errno("connect to " + address.host + " port " + std::to_string(address.port));
  }
  return fd;
}

base::Result<std::string> listener_url(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  // Why safe: the kernel writes at most `size` bytes into the storage.
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) {
    return base::fail_errno("getsockname");
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.storage.ss_family == AF_INET6) {
    const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    return "http://[" + std::string(text.data()) + "]:" + std::to_string(ntohs(v6->sin6_port));
  }
  const auto* const v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
  ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
  return "http://" + std::string(text.data()) + ":" + std::to_string(ntohs(v4->sin_port));
}

}  // namespace airlock::apps
