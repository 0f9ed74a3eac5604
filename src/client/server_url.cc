#include "client/server_url.h"

#include <algorithm>
#include <cstdint>

#include "artifact/names.h"
#include "base/host_port.h"

namespace airlock::client {
namespace {

constexpr std::string_view kPlain = "http://";
constexpr std::string_view kSecure = "https://";
constexpr std::string_view kPlainPort = "8088";
constexpr std::string_view kSecurePort = "443";

base::Result<ServerUrl> refuse(std::string_view text, std::string_view why) {
  return base::fail(base::ErrorCode::kInvalidArgument,
                    artifact::quoted(text) + " is no address of a service: " + std::string(why),
                    "for example http://127.0.0.1:8088 or https://runner.example");
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_host(std::string_view host) {
  const bool in_brackets = host.starts_with('[') && host.ends_with(']');
  if (in_brackets) host = host.substr(1, host.size() - 2);
  return !host.empty() && std::ranges::all_of(host, [&](char c) {
    return is_alphanumeric(c) || c == '.' || (in_brackets ? c == ':' : c == '-' || c == '_');
  });
}

bool is_prefix(std::string_view path) {
  return path.find("..") == std::string_view::npos && path.find("//") == std::string_view::npos &&
         std::ranges::all_of(path, [](char c) {
           return is_alphanumeric(c) || std::string_view("/._~-").find(c) != std::string_view::npos;
         });
}

}  // namespace

base::Result<ServerUrl> parse_server_url(std::string_view text) {
  if (text.size() > kServerUrlBytesMax) return refuse(text, "it is too long");
  const bool secure = text.starts_with(kSecure);
  if (!secure && !text.starts_with(kPlain)) {
    return refuse(text, "it has to begin with http:// or https://");
  }
  std::string_view rest = text.substr(secure ? kSecure.size() : kPlain.size());
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view path = rest.substr(slash);
  const base::HostPort split = base::split_host_port(rest.substr(0, slash));
  if (rest.find('@') != std::string_view::npos) {
    return refuse(text, "a key comes from AIRLOCK_API_KEY or --api-key-file, not from here");
  }
  if (!is_host(split.host)) return refuse(text, "the host is no name and no IP address");
  if (split.port && !base::parse_port(*split.port)) {
    return refuse(text, "the port is a number from 1 to 65535");
  }
  if (!is_prefix(path)) return refuse(text, "its path has characters that have no place there");
  const std::string_view port = split.port ? *split.port : secure ? kSecurePort : kPlainPort;
  ServerUrl url;
  url.base.append(secure ? kSecure : kPlain).append(split.host).append(":").append(port);
  url.base.append(path);
  url.loopback =
      split.host == "localhost" || split.host == "[::1]" || split.host.starts_with("127.");
  return url;
}

}  // namespace airlock::client
