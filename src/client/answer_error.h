// What a service refused, as an Error: both shapes of errors, and what comes from something that
// is no Airlock service at all.
//
//   {"error": {"code", "message", "hint"?, "field"?}}     the routes of our own
//   {"detail": "text"}, {"detail": [{"loc", "msg"}]}      those of the contract
//
// Pure. The text is the server's: bounded here, escaped by whoever shows it.
#pragma once

#include <string_view>

#include "base/result.h"

namespace airlock::client {

inline constexpr std::size_t kRefusalTextBytesMax = 2'048;

// `status` is not 2xx. 400, 403, 413, 415 and 422 are kInvalidArgument, 404 kNotFound, 401
// kPermissionDenied, 429 kBusy, 502 to 504 kUnavailable (the same may work later), else kProtocol.
base::Error answer_error(int status, std::string_view body);

}  // namespace airlock::client
