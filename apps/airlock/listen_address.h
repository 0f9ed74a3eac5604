// ListenAddress: "http://127.0.0.1:8088" as a socket that listens.
//
// Only http for now. The host is an IP address or "localhost"; names would ask the network. Port 0
// lets the kernel choose. IPv6 in brackets.
#pragma once

#include <sys/time.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace airlock::apps {

struct ListenAddress {
  std::string host;  // "127.0.0.1", "::1"
  std::uint16_t port = 0;
  bool loopback = false;
};

base::Result<ListenAddress> parse_listen_address(std::string_view url);
base::Result<base::UniqueFd> open_listener(const ListenAddress& address);
// `patience` holds for connecting and for every later read and write.
base::Result<base::UniqueFd> connect_to(const ListenAddress& address, timeval patience);
// Where a service on this host that listens on `host` is reached: one that listens everywhere
// answers on loopback.
std::string reachable_host(const std::string& host);
// "http://127.0.0.1:8088" of a socket that listens, with the port it really has.
base::Result<std::string> listener_url(int fd);

}  // namespace airlock::apps
