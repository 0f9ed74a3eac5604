#include "telemetry/log.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <utility>

namespace airlock::telemetry {
namespace {

std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  const auto seconds = static_cast<std::time_t>(milliseconds / 1'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text;
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 48> whole;
  std::snprintf(whole.data(), whole.size(), "%s.%03dZ", text.data(),
                static_cast<int>(milliseconds % 1'000));
  return whole.data();
}

std::string_view level_name(Level level) {
  switch (level) {
    case Level::kDebug: return "debug";
    case Level::kInfo: return "info";
    case Level::kWarning: return "warning";
    case Level::kError: return "error";
  }
  return "error";
}

}  // namespace

void Log::raw(std::string line) const {
  line += '\n';
  // Who reads the log may be slow or gone, and the service goes on: a pipe that is full takes none.
  // Why safe: one pollfd for the kernel to fill in, and the bytes of a string that we own.
  pollfd set = {fd_, POLLOUT, 0};
  if (::poll(&set, 1, 0) != 1 || (set.revents & POLLOUT) == 0) return;
  if (::write(fd_, line.data(), line.size()) < 0) return;
}

void Log::write(Level level, std::string_view event, boost::json::object fields) const {
  if (level < least_) return;
  boost::json::object line;
  line["ts"] = timestamp();
  line["level"] = level_name(level);
  line["event"] = event;
  for (auto& field : fields) line[field.key()] = std::move(field.value());
  raw(boost::json::serialize(line));
}

}  // namespace airlock::telemetry
