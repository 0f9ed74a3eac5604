// The heads of HTTP/1 messages, read as strictly as a proxy has to that nobody can talk past.
//
// What two readers could take differently is refused: bare CR or LF, folded lines, spaces around a
// name, two lengths, a length beside chunks, a Host that differs from the URI. A head that passes
// is written anew from what was understood, never copied. Owns its strings; allocates within
// kHeadBytesMax.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "egress/host_name.h"

namespace airlock::egress {

inline constexpr std::size_t kHeadBytesMax = 32 * 1'024;
inline constexpr std::size_t kFieldsMax = 128;

struct HeadError {
  int status = 400;
  std::string text;
};
template <typename T>
using HeadResult = std::expected<T, HeadError>;

// What of a head was looked at already, so that bytes that come one by one are looked at once.
struct HeadScan {
  std::size_t at = 0;
  bool empty_line = true;
};
// Where the head ends: the bytes up to and with the empty line; 0 if more are needed. Refuses as
// soon as it can never become a head. `bytes` begin with those of the call before.
HeadResult<std::size_t> find_head_end(std::string_view bytes, HeadScan& scan);

struct Field {
  std::string name;
  std::string value;
};

enum class BodyKind { kNone, kLength, kChunked, kUntilClose };
struct BodyFraming {
  BodyKind kind = BodyKind::kNone;
  std::uint64_t length = 0;
};

struct RequestHead {
  std::string method;
  bool is_connect = false;
  Destination destination;
  std::string path;  // of the URI, with its query; "/" if it has none
  int minor = 1;     // of its version: HTTP/1.1 or 1.0
  bool keep_alive = false;
  BodyFraming body;
  std::vector<Field> fields;  // those that go on to the server, without Host
};

struct ResponseHead {
  int status = 0;
  std::string reason;
  BodyFraming body;
  std::vector<Field> fields;  // those that go on to the client
};

// `head` is what find_head_end() found.
HeadResult<RequestHead> parse_request_head(std::string_view head);
HeadResult<ResponseHead> parse_response_head(std::string_view head, bool answers_head_request);

std::string write_request_head(const RequestHead& head);
std::string write_response_head(const ResponseHead& head, bool keep_alive);

}  // namespace airlock::egress
