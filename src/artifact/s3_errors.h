// S3 errors: what a refusal of S3 means, for a person and for whoever might try again.
//
// Pure. Of the server's text only <Code>, <Message>, <Region>, <Endpoint> and <RequestId> are
// looked at, shortened and made printable: the rest of a refusal may repeat what was signed,
// tokens included.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "artifact/http_call.h"

namespace airlock::artifact {

struct RefusalContext {
  std::string what;                           // "get s3://bucket/key"
  std::string bucket;                         // for messages
  std::string region;                         // that was signed for
  std::chrono::system_clock::time_point now;  // our clock
};

// `answer` is not 2xx, or is a 200 with an <Error> in its body.
Failure failure_of(const HttpAnswer& answer, const RefusalContext& context);

}  // namespace airlock::artifact
