// LogEntry: a piece of what a job's programs wrote, as a service gives it; LogLines makes lines.
//
// Bytes are a guest's: whatever is in them, a terminal must not obey it.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace airlock::apps {

enum class LogStream { kNotice, kStdout, kStderr };

struct LogEntry {
  std::string phase;
  LogStream stream = LogStream::kStdout;
  std::string bytes;
};

// Nothing if it is none: the service sent something else.
std::optional<LogEntry> read_log_entry(const boost::json::object& entry);

// What may stand in a line of ours on a terminal: text and colours, which end with it.
std::string terminal_line(std::string_view line);

inline constexpr std::size_t kLogLineBytesMax = 16 * 1024;  // a longer one becomes several

// Cuts the pieces of one stream into lines without their newline. A lone carriage return begins
// the line anew, as it does on a terminal.
class LogLines {
 public:
  using Take = std::function<void(std::string_view line)>;

  void add(std::string_view bytes, const Take& take);
  void finish(const Take& take);  // what has no newline is a line, too

 private:
  std::string line_;
  bool returned_ = false;  // the last byte was a carriage return
};

}  // namespace airlock::apps
