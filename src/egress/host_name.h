// Names of hosts as they come in requests, in lists and in TLS.
//
// One form for all: lower case, without the dot at the end, letters, digits, '-' and '_' in labels
// of 1 to 63 bytes, 253 bytes at most. Whatever a resolver or inet_aton(3) could take for an
// address ("127.1", "0x7f000001", "1.2.3.4", "[::1]") is no name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace airlock::egress {

inline constexpr std::size_t kHostBytesMax = 253;

// Nullopt for what is no name; is_address_like() tells why.
std::optional<std::string> parse_host_name(std::string_view text);
// An address in any spelling, good or bad: the last label is a number, or there is a colon.
bool is_address_like(std::string_view text);

struct Destination {
  std::string host;  // a name, or an address in its usual spelling without brackets
  std::uint16_t port = 0;
  bool is_address = false;

  bool operator==(const Destination&) const = default;
  std::string to_string() const;  // "host:port", "[::1]:80"
};

// "host:port"; `default_port` 0: a port has to be there. An address that is not well-formed is
// none, and no name.
std::optional<Destination> parse_destination(std::string_view authority,
                                             std::uint16_t default_port);

}  // namespace airlock::egress
