#include "http/job_log_json.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "http/job_json.h"
#include "http/text_encoding.h"

namespace airlock::http {
namespace {

constexpr std::size_t kLineBytesMax = 16 * 1024;

std::string_view stream_name(runner::LogStream stream) {
  switch (stream) {
    case runner::LogStream::kNotice: return "notice";
    case runner::LogStream::kStdout: return "stdout";
    case runner::LogStream::kStderr: return "stderr";
  }
  return "notice";
}

std::string_view level_name(runner::LogStream stream) {
  return stream == runner::LogStream::kStderr ? "ERROR" : "INFO";
}

boost::json::object entry_json(std::string_view phase, const runner::LogRecord& record) {
  boost::json::object entry{{"timestamp", naive_time(record.time)},
                            {"phase", phase},
                            {"stream", stream_name(record.stream)}};
  if (is_utf8(record.bytes)) {
    entry["text"] = record.bytes;
  } else {
    entry["base64"] = base64(record.bytes);
  }
  return entry;
}

}  // namespace

boost::json::array log_entries_json(std::string_view phase,
                                    const std::vector<runner::LogRecord>& records) {
  boost::json::array entries;
  for (const runner::LogRecord& record : records) entries.push_back(entry_json(phase, record));
  return entries;
}

std::string log_event(std::string_view phase, const runner::LogRecord& record, std::uint64_t next) {
  return "id: " + std::string(phase) + ":" + std::to_string(next) +
         "\nevent: log\ndata: " + boost::json::serialize(entry_json(phase, record)) + "\n\n";
}

void LogTail::add(std::string_view phase, const runner::LogRecord& record) {
  Line& line = open_[static_cast<std::size_t>(record.stream)];
  for (const char c : record.bytes) {
    if (line.text.empty()) {
      line.time = record.time;
      line.phase = phase;
      line.stream = record.stream;
    }
    if (c == '\n') {
      finish(line);
    } else if (line.text.size() < kLineBytesMax) {
      line.text += c;
    }
  }
  if (record.stream == runner::LogStream::kNotice && !line.text.empty()) finish(line);
}

void LogTail::end_phase() {
  for (Line& line : open_) {
    if (!line.text.empty()) finish(line);
  }
}

void LogTail::finish(Line& line) {
  ++total_;
  lines_.push_back(std::exchange(line, {}));
  if (lines_.size() > lines_max_) lines_.pop_front();
}

boost::json::array LogTail::entries(std::string_view job_id) const {
  boost::json::array entries;
  for (const Line& line : lines_) {
    entries.push_back({{"timestamp", naive_time(line.time)},
                       {"phase", line.phase},
                       {"level", level_name(line.stream)},
                       {"message", printable_utf8(line.text)},
                       {"job_id", job_id}});
  }
  return entries;
}

}  // namespace airlock::http
