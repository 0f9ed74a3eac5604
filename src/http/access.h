// Access: who may ask for anything.
//
// With a key, every request but those to open routes has to bring it (`Authorization: Bearer` or
// `X-API-Key`), whatever the listener. Without one the service listens on loopback only, and what a
// web page in the user's browser could send is refused: another Host than ours (a name that was
// pointed at 127.0.0.1), a foreign Origin, a body that is not declared as JSON (a form could post
// any other without being asked).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/api_error.h"
#include "http/server/message.h"

namespace airlock::http {

struct AccessPolicy {
  std::string key;                 // empty: keyless
  std::vector<std::string> hosts;  // names without port that a keyless request may call us by
  std::vector<std::string> origins = {};  // of web pages that may use the service: not foreign
};

// The hosts of a listener on loopback.
std::vector<std::string> loopback_hosts();

bool is_allowed_origin(const AccessPolicy& policy, std::string_view origin);

// For routes that need a key, if there is one.
std::optional<ApiError> check_access(const AccessPolicy& policy, const Request& head);
// For routes that need none: a page may not ask those of a keyless service either.
std::optional<ApiError> check_open_access(const AccessPolicy& policy, const Request& head);

// Whether it brings something that is meant as a key.
bool brings_key(const Request& head);

// The same time for every `given` of one length.
bool equals_in_constant_time(std::string_view given, std::string_view expected);

}  // namespace airlock::http
