// SOCKS5 (RFC 1928) as far as it is served: no authentication, CONNECT, names.
//
// Reads from the front of what has come; what is not complete yet is neither good nor bad.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "egress/host_name.h"

namespace airlock::egress {

inline constexpr char kSocksVersion = 5;
inline constexpr std::size_t kSocksBytesMax = 512;  // of either message

// Codes of a reply.
enum class SocksReply : std::uint8_t {
  kSucceeded = 0,
  kFailure = 1,
  kNotAllowed = 2,
  kNetworkUnreachable = 3,
  kHostUnreachable = 4,
  kRefused = 5,
  kTimedOut = 6,
  kCommand = 7,
  kAddressType = 8,
};

enum class SocksStep { kIncomplete, kTaken, kRefused };

struct SocksGreeting {
  SocksStep step = SocksStep::kIncomplete;
  std::size_t size = 0;  // bytes of it, if taken
};
SocksGreeting read_socks_greeting(std::string_view bytes);

struct SocksRequest {
  SocksStep step = SocksStep::kIncomplete;
  std::size_t size = 0;
  Destination destination;
  SocksReply reply = SocksReply::kFailure;  // if refused
};
SocksRequest read_socks_request(std::string_view bytes);

std::string socks_method(bool accepted);
std::string socks_reply(SocksReply reply);

}  // namespace airlock::egress
