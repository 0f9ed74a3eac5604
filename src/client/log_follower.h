// LogFollower: the log of a job as it grows, across connections that break.
//
// Each entry comes with a name of where it stands; after a broken connection the service is asked
// to go on behind the last one, so that nothing comes twice and nothing is left out. It gives up
// after kReconnectsMax attempts in a row. The options and the clock are borrowed. One thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "client/event_stream.h"

namespace airlock::client {

inline constexpr int kReconnectsMax = 30;
inline constexpr std::chrono::milliseconds kReconnectFirst{250};
inline constexpr std::chrono::milliseconds kReconnectLongest{5'000};

struct FollowedLog {
  std::vector<ServerEvent> events;  // "log" and, last of all, "end"
  bool ended = false;               // the job has, and its log with it
  std::optional<base::Error> lost;  // the connection broke: it is being tried again
};

class LogFollower {
 public:
  // `phase` empty: all of them, one after the other.
  LogFollower(const ClientOptions& options, const base::Clock& clock, const std::string& job,
              const std::string& phase);

  // At most `patience`, or until `wake_fd` is readable.
  base::Result<FollowedLog> wait(std::chrono::milliseconds patience, int wake_fd);

 private:
  base::Result<FollowedLog> reconnect_after(const base::Error& error);
  base::Result<FollowedLog> take(EventBatch batch);

  const ClientOptions& options_;
  const base::Clock& clock_;
  std::string target_;
  std::string last_id_;
  bool seen_ = false;  // an entry, with an id or not
  int failures_ = 0;   // in a row
  std::chrono::steady_clock::time_point next_attempt_{};
  std::unique_ptr<EventStream> stream_;
};

}  // namespace airlock::client
