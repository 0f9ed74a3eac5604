#include "egress/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"

namespace airlock::egress {
namespace {

struct Range {
  std::array<std::uint8_t, 16> prefix;
  int bits;
  std::string_view reason;
};

constexpr std::string_view kMetadata = "metadata address of a cloud";

// The special-purpose registries of IANA, and what clouds have put elsewhere. The first that fits
// names the reason.
constexpr Range kRefusedV4[] = {
    {{169, 254, 169, 254}, 32, kMetadata},  // AWS, GCP, Azure and others
    {{169, 254, 170, 2}, 32, kMetadata},    // ECS
    {{100, 100, 100, 200}, 32, kMetadata},  // Alibaba
    {{168, 63, 129, 16}, 32, kMetadata},    // Azure's wire server
    {{192, 0, 0, 192}, 32, kMetadata},      // Oracle
    {{0}, 8, "address of this network"},
    {{10}, 8, "private address"},
    {{100, 64}, 10, "address behind a carrier's NAT"},
    {{127}, 8, "loopback address"},
    {{169, 254}, 16, "link-local address"},
    {{172, 16}, 12, "private address"},
    {{192, 0, 0}, 24, "reserved address"},
    {{192, 0, 2}, 24, "documentation address"},
    {{192, 31, 196}, 24, "reserved address"},
    {{192, 52, 193}, 24, "reserved address"},
    {{192, 88, 99}, 24, "6to4 relay"},
    {{192, 168}, 16, "private address"},
    {{192, 175, 48}, 24, "reserved address"},
    {{198, 18}, 15, "address for benchmarks"},
    {{198, 51, 100}, 24, "documentation address"},
    {{203, 0, 113}, 24, "documentation address"},
    {{224}, 4, "multicast address"},
    {{240}, 4, "reserved address"},
};

constexpr Range kRefusedV6[] = {
    {{0xfd, 0x00, 0x0e, 0xc2}, 32, kMetadata},  // fd00:ec2::254 and its like: AWS
    {{0xfd, 0x20, 0x00, 0xce}, 32, kMetadata},  // fd20:ce::254: GCP
    {{0xfc}, 7, "private address"},
    {{0xfe, 0x80}, 10, "link-local address"},
    {{0xfe, 0xc0}, 10, "private address"},
    {{0xff}, 8, "multicast address"},
    {{0x00, 0x64, 0xff, 0x9b}, 32, "IPv4 address inside of an IPv6 one (NAT64)"},
    {{0x20, 0x02}, 16, "IPv4 address inside of an IPv6 one (6to4)"},
    {{0x20, 0x01, 0x00, 0x00}, 32, "IPv4 address inside of an IPv6 one (Teredo)"},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation address"},
    {{0x20, 0x01}, 23, "reserved address"},
    {{0x26, 0x20, 0x00, 0x4f, 0x80}, 48, "reserved address"},
    {{0x3f, 0xff}, 20, "documentation address"},
};
constexpr Range kGlobalV6 = {{0x20}, 3, ""};  // all that is given out of the rest

bool is_within(const Address::Bytes& bytes, const Range& range) {
  const auto whole = static_cast<std::size_t>(range.bits / 8);
  if (!std::equal(bytes.begin(), bytes.begin() + whole, range.prefix.begin())) return false;
  const int rest = range.bits % 8;
  if (rest == 0) return true;
  const int mask = 0xff << (8 - rest) & 0xff;
  return (bytes[whole] & mask) == (range.prefix[whole] & mask);
}

bool is_zero(const Address::Bytes& bytes, std::size_t from, std::size_t to) {
  return std::all_of(bytes.begin() + from, bytes.begin() + to, [](auto byte) { return byte == 0; });
}

std::optional<std::string_view> find_refusal_v6(const Address::Bytes& bytes) {
  if (is_zero(bytes, 0, 15)) {
    return bytes[15] == 1 ? "loopback address" : "address of this network";
  }
  const bool mapped = is_zero(bytes, 0, 10) && bytes[10] == 0xff && bytes[11] == 0xff;
  if (mapped || is_zero(bytes, 0, 12)) return "IPv4 address inside of an IPv6 one";
  for (const Range& range : kRefusedV6) {
    if (is_within(bytes, range)) return range.reason;
  }
  if (!is_within(bytes, kGlobalV6)) return "reserved address";
  // What of IPv4 hides in the last half, as ISATAP has it.
  const bool isatap =
      (bytes[8] & 0xfc) == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe;
  if (isatap) return "IPv4 address inside of an IPv6 one (ISATAP)";
  return std::nullopt;
}

}  // namespace

Address Address::v4(const std::array<std::uint8_t, 4>& bytes) {
  Bytes padded{};
  std::ranges::copy(bytes, padded.begin());
  return {padded, false};
}

std::string Address::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(is_v6_ ? AF_INET6 : AF_INET, bytes_.data(), text.data(), text.size());
  return text.data();
}

std::optional<Address> parse_address(std::string_view text) {
  const std::string terminated(text);
  std::array<std::uint8_t, 4> v4{};
  if (::inet_pton(AF_INET, terminated.c_str(), v4.data()) == 1) return Address::v4(v4);
  Address::Bytes v6{};
  if (::inet_pton(AF_INET6, terminated.c_str(), v6.data()) == 1) return Address::v6(v6);
  return std::nullopt;
}

std::optional<Address> address_of(const sockaddr* address) {
  // Why safe: the family says which of the two it is, and both are read byte by byte.
  if (address->sa_family == AF_INET) {
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, 4);
    return Address::v4(bytes);
  }
  if (address->sa_family != AF_INET6) return std::nullopt;
  Address::Bytes bytes{};
  std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, 16);
  return Address::v6(bytes);
}

std::optional<std::string_view> find_refusal(const Address& address) {
  if (address.is_v6()) return find_refusal_v6(address.bytes());
  for (const Range& range : kRefusedV4) {
    if (is_within(address.bytes(), range)) return range.reason;
  }
  return std::nullopt;
}

// The kernel chooses as source of what goes to an address of its own that address.
bool is_own_address(const Address& address) {
  const base::UniqueFd probe(
      ::socket(address.is_v6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return true;
  sockaddr_storage to{};
  socklen_t size = 0;
  // Why safe: sockaddr_storage has room for either, and the family says which it holds.
  if (address.is_v6()) {
    auto* const v6 = reinterpret_cast<sockaddr_in6*>(&to);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(9);
    std::memcpy(&v6->sin6_addr, address.bytes().data(), 16);
    size = sizeof *v6;
  } else {
    auto* const v4 = reinterpret_cast<sockaddr_in*>(&to);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(9);
    std::memcpy(&v4->sin_addr, address.bytes().data(), 4);
    size = sizeof *v4;
  }
  const auto* const destination = reinterpret_cast<const sockaddr*>(&to);
  if (::connect(probe.get(), destination, size) != 0) {
    return errno != ENETUNREACH && errno != EHOSTUNREACH;  // a connection will fail as well
  }
  sockaddr_storage from{};
  size = sizeof from;
  auto* const source = reinterpret_cast<sockaddr*>(&from);
  if (::getsockname(probe.get(), source, &size) != 0) return true;
  return address_of(source) == address;
}

}  // namespace airlock::egress
