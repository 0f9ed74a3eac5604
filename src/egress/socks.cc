#include "egress/socks.h"

#include <algorithm>
#include <array>

#include "egress/address.h"

namespace airlock::egress {
namespace {

constexpr std::uint8_t kConnect = 1;
constexpr std::uint8_t kAddressV4 = 1;
constexpr std::uint8_t kAddressName = 3;
constexpr std::uint8_t kAddressV6 = 4;
constexpr std::size_t kFixedBytes = 4;  // version, command, reserved, type

std::uint8_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}

SocksRequest refuse(SocksReply reply) {
  return {.step = SocksStep::kRefused, .size = 0, .destination = {}, .reply = reply};
}

template <std::size_t size>
std::array<std::uint8_t, size> take_bytes(std::string_view bytes) {
  std::array<std::uint8_t, size> taken{};
  std::ranges::transform(bytes.substr(0, size), taken.begin(),
                         [](char c) { return static_cast<std::uint8_t>(c); });
  return taken;
}

}  // namespace

SocksGreeting read_socks_greeting(std::string_view bytes) {
  if (!bytes.empty() && bytes[0] != kSocksVersion) return {SocksStep::kRefused, 0};
  if (bytes.size() < 2) return {};
  const std::size_t size = 2 + std::size_t{byte_at(bytes, 1)};
  if (bytes.size() < size) return {};
  const bool anonymous = bytes.substr(2, size - 2).find('\0') != std::string_view::npos;
  return {anonymous ? SocksStep::kTaken : SocksStep::kRefused, size};
}

SocksRequest read_socks_request(std::string_view bytes) {
  if (!bytes.empty() && bytes[0] != kSocksVersion) return refuse(SocksReply::kFailure);
  if (bytes.size() < kFixedBytes + 1) return {};
  if (bytes[2] != 0) return refuse(SocksReply::kFailure);
  if (byte_at(bytes, 1) != kConnect) return refuse(SocksReply::kCommand);
  const std::uint8_t type = byte_at(bytes, 3);
  std::size_t host = kFixedBytes;
  std::size_t host_size = type == kAddressV4 ? 4 : 16;
  if (type == kAddressName) {
    host_size = byte_at(bytes, host);
    ++host;
  } else if (type != kAddressV4 && type != kAddressV6) {
    return refuse(SocksReply::kAddressType);
  }
  const std::size_t size = host + host_size + 2;
  if (bytes.size() < size) return {};
  SocksRequest request{.step = SocksStep::kTaken, .size = size, .destination = {}, .reply = {}};
  Destination& to = request.destination;
  to.port = static_cast<std::uint16_t>(byte_at(bytes, size - 2) << 8 | byte_at(bytes, size - 1));
  const std::string_view text = bytes.substr(host, host_size);
  if (type == kAddressName) {
    // Some send an address as if it were a name.
    const auto address = parse_address(text);
    auto name = parse_host_name(text);
    if (!address && !name) return refuse(SocksReply::kAddressType);
    to.is_address = address.has_value();
    to.host = address ? address->to_string() : std::move(*name);
  } else {
    to.is_address = true;
    to.host =
        (type == kAddressV4 ? Address::v4(take_bytes<4>(text)) : Address::v6(take_bytes<16>(text)))
            .to_string();
  }
  if (to.port == 0) return refuse(SocksReply::kFailure);
  return request;
}

std::string socks_method(bool accepted) {
  return {kSocksVersion, accepted ? '\0' : static_cast<char>(0xff)};
}

// The address that we are bound to is nobody's business: all zero.
std::string socks_reply(SocksReply reply) {
  std::string text = {kSocksVersion, static_cast<char>(reply), 0, kAddressV4};
  text.append(6, '\0');
  return text;
}

}  // namespace airlock::egress
