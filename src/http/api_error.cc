#include "http/api_error.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/units.h"
#include "http/text_encoding.h"

namespace airlock::http {
namespace {

struct StatusAndCode {
  int status;
  std::string_view code;
};

StatusAndCode status_of(base::ErrorCode code) {
  switch (code) {
    case base::ErrorCode::kInvalidArgument: return {400, kInvalidArgumentCode};
    case base::ErrorCode::kNotFound: return {404, "not_found"};
    case base::ErrorCode::kPermissionDenied: return {403, "permission_denied"};
    case base::ErrorCode::kUnavailable: return {503, "unavailable"};
    case base::ErrorCode::kLimitExceeded: return {413, kLimitExceededCode};
    case base::ErrorCode::kProtocol: return {502, "protocol"};
    case base::ErrorCode::kIo: return {500, "internal"};
    case base::ErrorCode::kBusy: return {429, "busy"};
    case base::ErrorCode::kCancelled: return {503, "cancelled"};
  }
  return {500, "internal"};
}

}  // namespace

std::string error_json(const ApiError& error) {
  boost::json::object members;
  members["code"] = printable_utf8(error.code);
  members["message"] = printable_utf8(error.message);
  if (!error.hint.empty()) members["hint"] = printable_utf8(error.hint);
  if (!error.field.empty()) members["field"] = printable_utf8(error.field);
  boost::json::object object;
  object["error"] = std::move(members);
  return boost::json::serialize(object);
}

ApiError from_error(const base::Error& error) {
  const auto [status, code] = status_of(error.code);
  return {.status = status,
          .code = std::string(code),
          .message = error.to_string(),
          .hint = error.hint,
          .field = {}};
}

std::unexpected<ApiError> refuse_field(std::string_view field, std::string_view problem,
                                       std::string_view hint) {
  return std::unexpected(ApiError{
      .status = 400,
      .code = std::string(kInvalidArgumentCode),
      .message = (field.empty() ? "the request" : std::string(field)) + " " + std::string(problem),
      .hint = std::string(hint),
      .field = std::string(field)});
}

std::unexpected<ApiError> refuse_request(std::string message) {
  return std::unexpected(ApiError{.status = 400,
                                  .code = std::string(kInvalidArgumentCode),
                                  .message = std::move(message),
                                  .hint = {},
                                  .field = {}});
}

ApiStatus check_body_size(std::string_view body, std::size_t bytes_max) {
  if (body.size() <= bytes_max) return {};
  return std::unexpected(ApiError{.status = 413,
                                  .code = std::string(kLimitExceededCode),
                                  .message = "the body has " + std::to_string(body.size()) +
                                             " bytes; this server takes at most " +
                                             std::to_string(bytes_max),
                                  .hint = {},
                                  .field = {}});
}

}  // namespace airlock::http
