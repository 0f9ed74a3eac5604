// Logs of jobs as JSON: entries, lines, and events of a stream.
//
// Bytes that are no UTF-8 are base64 in entries and events, and made printable in lines.
#pragma once

#include <boost/json/array.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "runner/jobs/job_log.h"

namespace airlock::http {

// {"timestamp", "phase", "stream", "text" | "base64"} of each record.
boost::json::array log_entries_json(std::string_view phase,
                                    const std::vector<runner::LogRecord>& records);

// The same as an event of a stream: "id: PHASE:NEXT\nevent: log\ndata: ...\n\n". `next` is the
// offset behind the record.
std::string log_event(std::string_view phase, const runner::LogRecord& record, std::uint64_t next);

// The last lines of what it is given, in the order in which it is given them.
class LogTail {
 public:
  explicit LogTail(std::size_t lines_max) : lines_max_(lines_max) {}

  void add(std::string_view phase, const runner::LogRecord& record);
  void end_phase();  // what has no newline is a line, too

  std::uint64_t total() const { return total_; }
  // {"timestamp", "phase", "level", "message", "job_id"} of each line, as the contract has them.
  boost::json::array entries(std::string_view job_id) const;

 private:
  struct Line {
    model::WallTime time{};
    std::string phase;
    runner::LogStream stream = runner::LogStream::kStdout;
    std::string text;
  };

  void finish(Line& line);

  std::size_t lines_max_;
  std::uint64_t total_ = 0;
  std::deque<Line> lines_;
  Line open_[3];  // one for each stream
};

}  // namespace airlock::http
