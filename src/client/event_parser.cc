#include "client/event_parser.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace airlock::client {
namespace {

base::Status refuse(std::string what) {
  return base::fail(base::ErrorCode::kProtocol,
                    "the service's events cannot be read: " + std::move(what));
}

bool is_text(std::string_view line) {
  while (!line.empty()) {
    const std::size_t length = base::utf8_character_length(line);
    if (length == 0 || line.front() == '\0' || line.front() == '\r') return false;
    line.remove_prefix(length);
  }
  return true;
}

}  // namespace

base::Status EventParser::feed(std::string_view bytes, std::vector<ServerEvent>& events) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::size_t taken = end == std::string_view::npos ? bytes.size() : end + 1;
    event_bytes_ += taken;
    if (event_bytes_ > event_bytes_max_) {
      return refuse("one has more than " + std::to_string(event_bytes_max_) + " bytes");
    }
    line_ += bytes.substr(0, std::min(end, bytes.size()));
    bytes.remove_prefix(taken);
    if (end == std::string_view::npos) return {};
    if (line_.ends_with('\r')) line_.pop_back();
    AIRLOCK_TRY(take_line(line_, events));
    line_.clear();
  }
  return {};
}

base::Status EventParser::take_line(std::string_view line, std::vector<ServerEvent>& events) {
  if (!is_text(line)) return refuse("a line is no text");
  if (line.empty()) {
    if (has_data_) {
      if (event_.name.empty()) event_.name = "message";
      events.push_back(std::move(event_));
    }
    event_ = {};
    has_data_ = false;
    event_bytes_ = 0;
    return {};
  }
  if (line.front() == ':') return {};
  const std::size_t colon = std::min(line.find(':'), line.size());
  std::string_view value = line.substr(std::min(colon + 1, line.size()));
  if (value.starts_with(' ')) value.remove_prefix(1);
  return take_field(line.substr(0, colon), value);
}

base::Status EventParser::take_field(std::string_view name, std::string_view value) {
  if (name == "data") {
    if (has_data_) event_.data += '\n';
    event_.data += value;
    has_data_ = true;
    return {};
  }
  if (name == "event") {
    event_.name = value;
    return {};
  }
  if (name == "id") {
    if (value.size() > kEventIdBytesMax) return refuse("an id is too long");
    event_.id = value;
    return {};
  }
  if (name == "retry") return {};  // how long to wait is ours to say
  return refuse("a line is no field of an event");
}

}  // namespace airlock::client
