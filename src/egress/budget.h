// Budget: how much of everything one session of the gateway may use.
//
// A plain value. Whatever is used up is refused with the number that was reached; nothing is
// dropped in silence.
#pragma once

#include <chrono>
#include <cstdint>

namespace airlock::egress {

struct Budget {
  std::uint64_t bytes_max = std::uint64_t{1} << 30;   // both directions together
  std::uint32_t connections_max = 256;                // at once; more are turned away
  std::chrono::milliseconds header_timeout{15'000};   // for a request, and for a ClientHello
  std::chrono::milliseconds connect_timeout{10'000};  // to one address
  std::chrono::milliseconds idle_timeout{300'000};    // without a byte in either direction
};

}  // namespace airlock::egress
