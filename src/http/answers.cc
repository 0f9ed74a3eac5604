#include "http/answers.h"

#include <utility>

namespace airlock::http {
namespace {

constexpr std::string_view kRetryAfterSeconds = "1";

}  // namespace

Response json_response(int status, std::string body) {
  Response response{.status = status, .body = std::move(body)};
  response.body += '\n';
  if (status == 429 || status == 503) {
    response.headers.push_back({"Retry-After", std::string(kRetryAfterSeconds)});
  }
  if (status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  return response;
}

Response error_response(const ApiError& error, ErrorShape shape) {
  return json_response(error.status, shape(error));
}

Response refused_response(int status, std::string_view message) {
  return error_response({.status = status,
                         .code = status == 408   ? "timeout"
                                 : status == 413 ? std::string(kLimitExceededCode)
                                 : status == 500 ? "internal"
                                 : status == 503 ? "busy"
                                                 : "malformed_request",
                         .message = std::string(message),
                         .hint = {},
                         .field = {}});
}

}  // namespace airlock::http
