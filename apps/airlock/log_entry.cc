#include "apps/airlock/log_entry.h"

#include "apps/airlock/terminal_filter.h"
#include "client/json_fields.h"
#include "receipt/digest.h"

namespace airlock::apps {

std::optional<LogEntry> read_log_entry(const boost::json::object& entry) {
  LogEntry read{.phase = client::text_of(entry, "phase"), .bytes = client::text_of(entry, "text")};
  const std::string stream = client::text_of(entry, "stream");
  if (stream != "stdout" && stream != "stderr" && stream != "notice") return std::nullopt;
  if (stream == "stderr") read.stream = LogStream::kStderr;
  if (stream == "notice") read.stream = LogStream::kNotice;
  if (entry.contains("base64")) {
    auto bytes = receipt::decode_base64(client::text_of(entry, "base64"));
    if (!bytes) return std::nullopt;
    read.bytes = std::move(*bytes);
  }
  return read;
}

std::string terminal_line(std::string_view line) {
  std::string shown;
  TerminalFilter filter(TerminalUse::kLines);
  filter.filter(line, shown);
  if (shown.find('\x1b') != std::string::npos) shown += "\x1b[0m";
  return shown;
}

void LogLines::add(std::string_view bytes, const Take& take) {
  for (const char c : bytes) {
    if (c == '\n') {
      take(line_);
      line_.clear();
    } else if (c != '\r') {
      if (returned_) line_.clear();
      line_ += c;
      if (line_.size() >= kLogLineBytesMax) {
        take(line_);
        line_.clear();
      }
    }
    returned_ = c == '\r';
  }
}

void LogLines::finish(const Take& take) {
  if (!line_.empty()) take(line_);
  line_.clear();
  returned_ = false;
}

}  // namespace airlock::apps
