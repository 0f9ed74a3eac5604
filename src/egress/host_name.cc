#include "egress/host_name.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/host_port.h"
#include "egress/address.h"

namespace airlock::egress {
namespace {

constexpr std::size_t kLabelBytesMax = 63;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

bool is_label(std::string_view label) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
  };
  return !label.empty() && label.size() <= kLabelBytesMax && label.front() != '-' &&
         label.back() != '-' && std::ranges::all_of(label, fits);
}

std::string_view last_label(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

std::string lowered(std::string_view text) {
  std::string result = base::ascii_lower(text);
  if (result.ends_with('.')) result.pop_back();
  return result;
}

}  // namespace

bool is_address_like(std::string_view text) {
  const std::string name = lowered(text);
  if (name.find(':') != std::string::npos || name.starts_with('[')) return true;
  const std::string_view last = last_label(name);
  if (last.empty()) return false;
  if (std::ranges::all_of(last, is_digit)) return true;
  return last.starts_with("0x") && std::ranges::all_of(last.substr(2), is_hex);
}

std::optional<std::string> parse_host_name(std::string_view text) {
  if (text.size() > kHostBytesMax + 1) return std::nullopt;
  std::string name = lowered(text);
  if (name.size() > kHostBytesMax || is_address_like(name)) return std::nullopt;
  std::string_view rest = name;
  while (true) {
    const std::size_t dot = rest.find('.');
    if (!is_label(rest.substr(0, dot))) return std::nullopt;
    if (dot == std::string_view::npos) return name;
    rest.remove_prefix(dot + 1);
  }
}

std::string Destination::to_string() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::optional<Destination> parse_destination(std::string_view authority,
                                             std::uint16_t default_port) {
  const base::HostPort parts = base::split_host_port(authority);
  Destination destination;
  if (parts.port) {
    const auto port = base::parse_port(*parts.port);
    if (!port) return std::nullopt;
    destination.port = *port;
  } else if (default_port == 0) {
    return std::nullopt;
  } else {
    destination.port = default_port;
  }
  std::string_view host = parts.host;
  if (auto name = parse_host_name(host)) {
    destination.host = std::move(*name);
    return destination;
  }
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = parse_address(host);
  if (!address || address->is_v6() != bracketed) return std::nullopt;
  destination.host = address->to_string();
  destination.is_address = true;
  return destination;
}

}  // namespace airlock::egress
