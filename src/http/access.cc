#include "http/access.h"

#include <algorithm>

#include "base/host_port.h"

namespace airlock::http {
namespace {

constexpr std::string_view kBearer = "bearer ";

std::string_view given_key(const Request& head) {
  const std::string_view authorization = head.header("Authorization");
  if (authorization.size() > kBearer.size() &&
      equals_ignoring_case(authorization.substr(0, kBearer.size()), kBearer)) {
    return authorization.substr(kBearer.size());
  }
  return head.header("X-API-Key");
}

bool is_listed(const std::vector<std::string>& hosts, std::string_view host) {
  return std::ranges::any_of(
      hosts, [&](const std::string& known) { return equals_ignoring_case(known, host); });
}

constexpr std::string_view kOwnScheme = "http://";  // TLS is for a proxy, which has other names

bool is_own_origin(std::string_view origin, std::string_view host) {
  return origin.starts_with(kOwnScheme) && origin.substr(kOwnScheme.size()) == host;
}

// "localhost:80@evil.example" is some reader's evil.example.
bool names_us(const AccessPolicy& policy, std::string_view host) {
  const base::HostPort split = base::split_host_port(host);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return is_listed(policy.hosts, split.host) &&
         (!split.port || std::ranges::all_of(*split.port, is_digit));
}

bool is_json(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  return equals_ignoring_case(type, "application/json");
}

std::optional<ApiError> check_as_of_a_web_page(const AccessPolicy& policy, const Request& head) {
  const std::string_view host = head.header("Host");
  if (!names_us(policy, host)) {
    return ApiError{.status = 403,
                    .code = "host_not_allowed",
                    .message = "without a key only requests to this machine's own names are taken",
                    .hint = "ask for http://localhost, or configure a key",
                    .field = "Host"};
  }
  const std::string_view origin = head.header("Origin");
  const bool foreign = !is_own_origin(origin, host) && !is_allowed_origin(policy, origin);
  if (head.count_headers("Origin") > 0 && foreign) {
    return ApiError{.status = 403,
                    .code = "origin_not_allowed",
                    .message = "without a key no other web page may use this service",
                    .hint = "name the page's origin with --cors-origin, or configure a key",
                    .field = "Origin"};
  }
  if (head.method == "POST" && !is_json(head.header("Content-Type"))) {
    return ApiError{.status = 415,
                    .code = "content_type",
                    .message = "the body has to be declared as application/json",
                    .hint = "with curl: -H 'Content-Type: application/json'",
                    .field = "Content-Type"};
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> loopback_hosts() { return {"localhost", "127.0.0.1", "[::1]"}; }

bool is_allowed_origin(const AccessPolicy& policy, std::string_view origin) {
  return std::ranges::find(policy.origins, origin) != policy.origins.end();
}

bool equals_in_constant_time(std::string_view given, std::string_view expected) {
  if (given.size() != expected.size()) return false;
  unsigned char difference = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i] ^ expected[i]);
  }
  // The compiler must not learn that the first difference decides.
  __asm__ volatile("" : "+r"(difference));
  return difference == 0;
}

bool brings_key(const Request& head) { return !given_key(head).empty(); }

std::optional<ApiError> check_open_access(const AccessPolicy& policy, const Request& head) {
  return policy.key.empty() ? check_as_of_a_web_page(policy, head) : std::nullopt;
}

std::optional<ApiError> check_access(const AccessPolicy& policy, const Request& head) {
  if (policy.key.empty()) return check_as_of_a_web_page(policy, head);
  if (equals_in_constant_time(given_key(head), policy.key)) return std::nullopt;
  return ApiError{.status = 401,
                  .code = "unauthorized",
                  .message = given_key(head).empty() ? "this service needs a key"
                                                     : "that is not the key of this service",
                  .hint = "send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
                  .field = {}};
}

}  // namespace airlock::http
