#include "artifact/http_answer.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/units.h"

namespace airlock::artifact {
namespace {

// "HTTP/1.1 200 OK": 200. Of a 100 Continue, or of the answer.
int status_of(std::string_view line) {
  const std::size_t blank = line.find(' ');
  int status = 0;
  for (const char c : line.substr(std::min(blank + 1, line.size()), 3)) {
    if (c >= '0' && c <= '9') status = status * 10 + (c - '0');
  }
  return status;
}

std::unexpected<base::Error> refuse(const AnswerLimits& limits, const std::string& what) {
  return base::fail(base::ErrorCode::kProtocol, std::string(limits.server) + what);
}

}  // namespace

std::string HttpAnswer::header(std::string_view name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

base::Status take_head_line(HttpAnswer& answer, std::string_view line, const AnswerLimits& limits) {
  if (line.starts_with("HTTP/")) {
    answer.headers.clear();
    answer.status = status_of(line);
    return {};
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return {};
  if (line.size() > kAnswerHeaderBytesMax || answer.headers.size() >= kAnswerHeadersMax) {
    return refuse(limits, " sent too many or too long headers");
  }
  answer.headers.insert_or_assign(base::ascii_lower(line.substr(0, colon)),
                                  std::string(base::trimmed(line.substr(colon + 1))));
  return {};
}

base::Status take_body(HttpAnswer& answer, std::string_view piece, const AnswerSink& sink,
                       const AnswerLimits& limits) {
  if (!answer.is_success()) {
    const std::size_t kept = std::min(kAnswerRefusalBytesMax, answer.body.size());
    answer.body += piece.substr(0, kAnswerRefusalBytesMax - kept);
    return {};
  }
  if (sink) return sink(answer, piece);
  if (answer.body.size() + piece.size() > limits.body_bytes_max) {
    return refuse(limits, "'s answer has more than " +
                              base::format_byte_count(base::ByteCount(limits.body_bytes_max)));
  }
  answer.body += piece;
  return {};
}

}  // namespace airlock::artifact
