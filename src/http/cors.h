// CORS: which web pages of other origins may use the service from a browser.
//
// Nobody's, unless the operator names origins (AccessPolicy::origins). A page of one of those may
// send every request that has a route, and read its answer; whether it needs a key is another
// question (access.h). Browsers ask first, with OPTIONS and without a key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/access.h"
#include "http/server/message.h"

namespace airlock::http {

// "https://app.example" or "http://localhost:3000", as browsers write it: in lower case, without a
// path and without the scheme's own port. The error says what is wrong with `text`.
base::Result<std::string> parse_origin(std::string_view text);

// The headers that let a page of the request's origin read the answer; none for other origins. Once
// any origin is named, every answer says that it depends on the origin.
std::vector<Header> cors_headers(const AccessPolicy& policy, const Request& head);

// A browser's question whether a page of a named origin may send a request.
bool is_preflight(const AccessPolicy& policy, const Request& head);
// What it is told, beside cors_headers. `methods`: "POST".
Response preflight_response(const Request& head, std::string methods);

}  // namespace airlock::http
