// The first words of a TLS client: which host does it mean?
//
// Reads the ClientHello (RFC 8446, 4.1.2; the same in older versions) out of one or more records
// and gives the name of its server_name extension. Everything is bounded; what is no ClientHello,
// or a broken one, is told apart from one that is not there yet. Pure; keeps nothing.
#pragma once

#include <string>
#include <string_view>

namespace airlock::egress {

// Of all records up to the end of the ClientHello. Those of post-quantum keys have 2 KiB.
inline constexpr std::size_t kHelloBytesMax = 32 * 1'024;

enum class HelloKind {
  kIncomplete,  // so far it could be one
  kNotTls,
  kBroken,  // TLS, but no ClientHello that anybody should understand
  kNoName,
  kName,
};

struct Hello {
  HelloKind kind = HelloKind::kIncomplete;
  std::string name;  // as it stands there, checked to be one: lower case
};

Hello read_client_hello(std::string_view bytes);

}  // namespace airlock::egress
