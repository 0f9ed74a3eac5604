// Log: what happened, one JSON object per line.
//
//   {"ts":"2026-01-02T03:04:05.678Z","level":"info","event":"run.finish","id":"...",...}
//
// Each line is one write, so lines of several threads or processes on one descriptor never mix. A
// log that cannot be written is dropped: it must not stop the service. Any thread.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

namespace airlock::telemetry {

enum class Level { kDebug, kInfo, kWarning, kError };

class Log {
 public:
  // `fd` is borrowed. What is below `least` is left out.
  explicit Log(int fd, Level least = Level::kInfo) : fd_(fd), least_(least) {}

  void debug(std::string_view event, boost::json::object fields = {}) const {
    write(Level::kDebug, event, std::move(fields));
  }
  void info(std::string_view event, boost::json::object fields = {}) const {
    write(Level::kInfo, event, std::move(fields));
  }
  void warning(std::string_view event, boost::json::object fields = {}) const {
    write(Level::kWarning, event, std::move(fields));
  }
  void error(std::string_view event, boost::json::object fields = {}) const {
    write(Level::kError, event, std::move(fields));
  }
  // A line that has its own form already.
  void raw(std::string line) const;

 private:
  void write(Level level, std::string_view event, boost::json::object fields) const;

  int fd_;
  Level least_;
};

}  // namespace airlock::telemetry
