// ServerUrl: where a service is asked, as a person writes it: "http://127.0.0.1:8088".
//
// A pure value. http or https, a host, perhaps a port and the path of a proxy before the service;
// no user, no query. Without a port http is 8088, where `airlock serve` listens, and https is 443.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace airlock::client {

inline constexpr std::size_t kServerUrlBytesMax = 1'024;

struct ServerUrl {
  std::string base;       // "http://127.0.0.1:8088", without a slash at its end
  bool loopback = false;  // by an address or by the name "localhost"
};

base::Result<ServerUrl> parse_server_url(std::string_view text);

}  // namespace airlock::client
