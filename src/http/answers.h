// Answers: what routes say, as a Response with the headers that its status needs.
//
// Pure functions. 429 and 503 say when to come back, 401 how to send a key; every body ends with a
// newline.
#pragma once

#include <string>
#include <string_view>

#include "http/api_error.h"
#include "http/server/message.h"

namespace airlock::http {

Response json_response(int status, std::string body);

using ErrorShape = std::string (*)(const ApiError&);

// In the native shape, or in that of a drop-in route.
Response error_response(const ApiError& error, ErrorShape shape = error_json);
// Of what never became a request.
Response refused_response(int status, std::string_view message);

}  // namespace airlock::http
