#include "http/cors.h"

#include <algorithm>

#include "base/host_port.h"

namespace airlock::http {
namespace {

constexpr std::string_view kSecondsRemembered = "600";

base::Result<std::string> refuse(std::string_view text, std::string_view why) {
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "\"" + std::string(text) + "\" is not an origin: " + std::string(why),
                    "for example https://app.example or http://localhost:3000");
}

bool is_host(std::string_view host) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
  };
  const bool bracketed = host.size() > 2 && host.starts_with('[') && host.ends_with(']');
  if (bracketed) {
    return std::ranges::all_of(host.substr(1, host.size() - 2),
                               [&](char c) { return fits(c) || c == ':'; });
  }
  return !host.empty() && std::ranges::all_of(host, fits);
}

}  // namespace

base::Result<std::string> parse_origin(std::string_view text) {
  if (text == "*") return refuse(text, "name each origin that may use this service");
  const bool secure = text.starts_with("https://");
  if (!secure && !text.starts_with("http://")) {
    return refuse(text, "it has to begin with https:// or http://");
  }
  const std::string_view scheme = secure ? "https://" : "http://";
  const std::string_view rest = text.substr(scheme.size());
  if (rest.find('/') != std::string_view::npos) {
    return refuse(text, "it ends with the host or the port, without a path or a slash");
  }
  const base::HostPort split = base::split_host_port(rest);
  if (!is_host(split.host)) {
    return refuse(text, "the host has to be as browsers write it, in lower case");
  }
  if (!split.port) return std::string(text);
  if (!base::parse_port(*split.port)) return refuse(text, "the port is a number from 1 to 65535");
  if (*split.port == (secure ? "443" : "80")) {
    return refuse(text, "browsers leave out a port that goes without saying");
  }
  return std::string(text);
}

std::vector<Header> cors_headers(const AccessPolicy& policy, const Request& head) {
  if (policy.origins.empty()) return {};
  std::vector<Header> headers = {{"Vary", "Origin"}};
  if (!is_allowed_origin(policy, head.header("Origin"))) return headers;
  headers.push_back({"Access-Control-Allow-Origin", std::string(head.header("Origin"))});
  headers.push_back({"Access-Control-Expose-Headers", "Retry-After"});
  return headers;
}

bool is_preflight(const AccessPolicy& policy, const Request& head) {
  return head.method == "OPTIONS" && is_allowed_origin(policy, head.header("Origin")) &&
         !head.header("Access-Control-Request-Method").empty();
}

Response preflight_response(const Request& head, std::string methods) {
  Response response{.status = 204, .content_type = ""};
  response.headers = {{"Access-Control-Allow-Methods", std::move(methods)},
                      {"Access-Control-Allow-Headers", "Authorization, Content-Type, X-API-Key"},
                      {"Access-Control-Max-Age", std::string(kSecondsRemembered)}};
  // A page of the internet asks for a service of its user's own machine.
  if (head.header("Access-Control-Request-Private-Network") == "true") {
    response.headers.push_back({"Access-Control-Allow-Private-Network", "true"});
  }
  return response;
}

}  // namespace airlock::http
