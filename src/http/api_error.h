// ApiError: what an HTTP client is told when its request cannot be done.
//
// A pure value: the status, a code for programs, a message for a person that says what was wrong,
// where, and what would be right. `field` is the JSON path of what was wrong: "files[2].path".
// The native routes send it as error_json writes it; drop-in routes have shapes of their own.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace airlock::http {

struct ApiError {
  int status = 500;
  std::string code = {};     // "invalid_argument": one word that does not change
  std::string message = {};  // never empty
  std::string hint = {};     // may be empty
  std::string field = {};    // may be empty
};

template <typename T>
class [[nodiscard]] ApiResult : public std::expected<T, ApiError> {
 public:
  using std::expected<T, ApiError>::expected;
};

using ApiStatus = ApiResult<void>;

inline constexpr std::string_view kInvalidArgumentCode = "invalid_argument";
inline constexpr std::string_view kInvalidJsonCode = "invalid_json";
inline constexpr std::string_view kLimitExceededCode = "limit_exceeded";

// {"error":{"code","message","hint"?,"field"?}}: one line, without a newline at its end.
std::string error_json(const ApiError& error);

// 400 invalid_argument, 403 permission_denied, 404 not_found, 413 limit_exceeded, 429 busy,
// 500 internal, 502 protocol, 503 unavailable or cancelled.
ApiError from_error(const base::Error& error);

// 400 invalid_argument. The message begins with the field: "limits.pids is 0; ...".
std::unexpected<ApiError> refuse_field(std::string_view field, std::string_view problem,
                                       std::string_view hint = {});

// 400 invalid_argument about no field: for the drop-in routes, whose errors are a text.
std::unexpected<ApiError> refuse_request(std::string message);

// 413 limit_exceeded unless the body is within `bytes_max`.
ApiStatus check_body_size(std::string_view body, std::size_t bytes_max);

// What a lower layer said, as from_error has it; the message begins with the field.
template <typename T>
ApiResult<T> at_field(std::string_view field, base::Result<T> result) {
  if (result.has_value()) {
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return std::move(*result);
    }
  }
  ApiError error = from_error(result.error());
  if (!field.empty()) error.message = std::string(field) + " " + error.message;
  error.field = field;
  return std::unexpected(std::move(error));
}

}  // namespace airlock::http
