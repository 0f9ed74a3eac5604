// Host and port of an authority: "localhost:8088", "[::1]:8088", "127.0.0.1".
//
// split_host_port checks nothing: what stands on either side is the caller's to judge. A colon
// inside of brackets belongs to the host, which keeps its brackets. Borrows from `authority`.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace airlock::base {

struct HostPort {
  std::string_view host;
  std::optional<std::string_view> port;  // may be empty: "localhost:"
};

constexpr HostPort split_host_port(std::string_view authority) {
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  if (!has_port) return {authority, std::nullopt};
  return {authority.substr(0, colon), authority.substr(colon + 1)};
}

// 1 to 65535, in digits without a zero at the front.
inline std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, port);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr == end;
  if (!is_number || text.front() == '0') return std::nullopt;
  return port;
}

}  // namespace airlock::base
