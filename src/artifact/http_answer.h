// HttpAnswer: what a server said to one request, taken in piece by piece, with everything bounded.
//
// Knows no transport: HttpCall here and the client's Transfer feed it what libcurl reads. A 2xx
// body goes to a sink, or is kept up to a limit; of another, the beginning is kept for the error.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace airlock::artifact {

inline constexpr std::size_t kAnswerRefusalBytesMax = 64u << 10;  // kept of a body that is not 2xx
inline constexpr std::size_t kAnswerHeadersMax = 100;
inline constexpr std::size_t kAnswerHeaderBytesMax = 8u << 10;  // of one line

struct HttpAnswer {
  int status = 0;                                           // 0: nothing came yet
  std::map<std::string, std::string, std::less<>> headers;  // lower-case names, the last one wins
  std::string body;

  bool is_success() const { return status >= 200 && status < 300; }
  std::string header(std::string_view name) const;  // empty if there is none
};

using AnswerSink = std::function<base::Status(const HttpAnswer& head, std::string_view piece)>;

struct AnswerLimits {
  std::string_view server;         // as an error names it: "the server"
  std::size_t body_bytes_max = 0;  // of a 2xx body without a sink
};

// One line of a head: "HTTP/1.1 200 OK" begins a new one, "Name: value" adds to it, what is
// neither is passed over. kProtocol beyond the limits of this header.
base::Status take_head_line(HttpAnswer& answer, std::string_view line, const AnswerLimits& limits);
// A piece of the body. An empty sink: it is kept. kProtocol beyond body_bytes_max; else what the
// sink says.
base::Status take_body(HttpAnswer& answer, std::string_view piece, const AnswerSink& sink,
                       const AnswerLimits& limits);

}  // namespace airlock::artifact
