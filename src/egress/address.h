// Addresses, and which of them no guest may reach, whatever name leads there.
//
// A name is allowed by its owner's word, but where it leads is decided by whoever answers for it,
// and anew each time. So each answer is checked: what is not an ordinary address of the internet
// is refused, as are addresses that carry another one inside (IPv4-mapped, 6to4, NAT64, Teredo)
// and those at which clouds tell a machine its secrets.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace airlock::egress {

class Address {
 public:
  using Bytes = std::array<std::uint8_t, 16>;

  static Address v4(const std::array<std::uint8_t, 4>& bytes);
  static Address v6(const Bytes& bytes) { return Address(bytes, true); }

  bool is_v6() const { return is_v6_; }
  const Bytes& bytes() const { return bytes_; }  // of IPv4 the first four
  std::string to_string() const;

  bool operator==(const Address&) const = default;

 private:
  Address(const Bytes& bytes, bool is_v6) : bytes_(bytes), is_v6_(is_v6) {}

  Bytes bytes_{};
  bool is_v6_ = false;
};

// As inet_pton(3) reads it, no scope, no other spelling.
std::optional<Address> parse_address(std::string_view text);
std::optional<Address> address_of(const sockaddr* address);

// Why nobody may connect there: "loopback address", "private address", ... Nullopt: it is an
// ordinary address of the internet.
std::optional<std::string_view> find_refusal(const Address& address);

// One of this machine itself, public or not: what listens on it is the operator's, not the
// internet's. Asks the kernel, sends nothing. Also true where the kernel does not say.
bool is_own_address(const Address& address);

}  // namespace airlock::egress
