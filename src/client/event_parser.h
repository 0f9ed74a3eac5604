// EventParser: server-sent events, as they arrive in pieces of any size.
//
// The format of the WHATWG's HTML standard, read strictly: the fields event, data, id and retry,
// comments, lines that end with LF or CR LF, UTF-8. Anything else is kProtocol, and so is an event
// of more than `event_bytes_max` with its comments. An event counts once the empty line behind it
// is there. After an error the parser is of no use. One thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace airlock::client {

inline constexpr std::size_t kEventBytesMax = 1u << 20;
inline constexpr std::size_t kEventIdBytesMax = 256;

struct ServerEvent {
  std::string id;    // empty: it has none
  std::string name;  // "message" if it has none
  std::string data;
};

class EventParser {
 public:
  explicit EventParser(std::size_t event_bytes_max = kEventBytesMax)
      : event_bytes_max_(event_bytes_max) {}

  // Appends the events that are complete now.
  base::Status feed(std::string_view bytes, std::vector<ServerEvent>& events);

 private:
  base::Status take_line(std::string_view line, std::vector<ServerEvent>& events);
  base::Status take_field(std::string_view name, std::string_view value);

  std::size_t event_bytes_max_;
  std::size_t event_bytes_ = 0;  // of the event that is coming, whatever is in it
  std::string line_;
  ServerEvent event_;
  bool has_data_ = false;
};

}  // namespace airlock::client
