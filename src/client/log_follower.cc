#include "client/log_follower.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "artifact/names.h"

namespace airlock::client {
namespace {

void rest(std::chrono::milliseconds duration, int wake_fd) {
  pollfd wake{.fd = wake_fd, .events = POLLIN, .revents = 0};
  (void)::poll(&wake, 1, static_cast<int>(duration.count()));
}

}  // namespace

LogFollower::LogFollower(const ClientOptions& options, const base::Clock& clock,
                         const std::string& job, const std::string& phase)
    : options_(options),
      clock_(clock),
      target_("/v1/jobs/" + artifact::percent_encode(job) + "/logs?follow=1") {
  if (!phase.empty()) target_ += "&phase=" + artifact::percent_encode(phase);
}

base::Result<FollowedLog> LogFollower::wait(std::chrono::milliseconds patience, int wake_fd) {
  if (stream_ == nullptr) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(next_attempt_ - clock_.steady_now());
    if (left.count() > 0) {
      rest(std::min(left, patience), wake_fd);
      return FollowedLog{};
    }
    stream_ = std::make_unique<EventStream>(options_, target_, last_id_);
  }
  auto batch = stream_->wait(patience, wake_fd);
  if (batch) return take(std::move(*batch));
  return reconnect_after(batch.error());
}

base::Result<FollowedLog> LogFollower::take(EventBatch batch) {
  FollowedLog log;
  for (ServerEvent& event : batch.events) {
    failures_ = 0;
    if (event.name == "log") seen_ = true;
    if (!event.id.empty()) last_id_ = event.id;
    log.ended = log.ended || event.name == "end";
    log.events.push_back(std::move(event));
  }
  // A service that ends cleanly ends what it sends, too: the job goes on, and so does its log.
  if (batch.ended && !log.ended) {
    return reconnect_after({base::ErrorCode::kUnavailable, 0, "the service ended the log", {}});
  }
  return log;
}

base::Result<FollowedLog> LogFollower::reconnect_after(const base::Error& error) {
  stream_.reset();
  const bool may_pass =
      error.code == base::ErrorCode::kUnavailable || error.code == base::ErrorCode::kIo;
  const bool knows_where = !seen_ || !last_id_.empty();
  if (!may_pass || !knows_where || ++failures_ > kReconnectsMax) return base::fail(error);
  const auto doubled = kReconnectFirst * (1 << std::min(failures_ - 1, 8));
  next_attempt_ = clock_.steady_now() + std::min(doubled, kReconnectLongest);
  return FollowedLog{.events = {}, .ended = false, .lost = error};
}

}  // namespace airlock::client
