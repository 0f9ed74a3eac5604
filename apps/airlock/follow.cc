#include "apps/airlock/follow.h"

#include <poll.h>

#include <boost/json/parse.hpp>
#include <utility>

#include "client/json_fields.h"
#include "client/log_follower.h"

namespace airlock::apps {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookEvery{500};
constexpr milliseconds kWaitAtMost{250};

bool is_terminal(const client::JsonAnswer& job) {
  const auto state = model::find_job_state(client::text_of(job.object, "status"));
  return state && model::is_terminal(*state);
}

// One job that is followed, and what is known of it.
class Follow {
 public:
  Follow(const client::JobClient& client, const base::Clock& clock, const InterruptWatch& watch,
         JobDisplay& display, const FollowRequest& request)
      : client_(client),
        clock_(clock),
        watch_(watch),
        display_(display),
        request_(request),
        follower_(client.options(), clock, request.job, request.phase) {}

  base::Result<FollowEnd> run() {
    for (;;) {
      if (watch_.interrupted()) return end(FollowEnd::Kind::kInterrupted);
      if (display_.broken()) return end(FollowEnd::Kind::kNobodyReads);
      AIRLOCK_TRY(look());
      if (log_ended_ && (request_.what == FollowWhat::kLog || is_terminal(job_))) {
        return end(FollowEnd::Kind::kJobEnded);
      }
      AIRLOCK_TRY(take_log());
    }
  }

 private:
  FollowEnd end(FollowEnd::Kind kind) { return {.kind = kind, .job = std::move(job_)}; }

  // A service that is away for a moment is the follower's to report.
  base::Status look() {
    if (request_.what == FollowWhat::kLog || clock_.steady_now() < next_look_) return {};
    auto job = client_.job(request_.job);
    next_look_ = clock_.steady_now() + kLookEvery;
    if (job) {
      job_ = std::move(*job);
      display_.show_job(job_.object, time_of(job_, clock_));
      return {};
    }
    const base::ErrorCode code = job.error().code;
    const bool may_pass =
        !log_ended_ && (code == base::ErrorCode::kUnavailable || code == base::ErrorCode::kIo);
    if (may_pass || code == base::ErrorCode::kCancelled) return {};
    return base::fail(job.error());
  }

  base::Status take_log() {
    if (log_ended_) {
      pollfd wake{.fd = watch_.fd(), .events = POLLIN, .revents = 0};
      (void)::poll(&wake, 1, static_cast<int>(kWaitAtMost.count()));
      return {};
    }
    auto log = follower_.wait(kWaitAtMost, watch_.fd());
    if (!log && log.error().code == base::ErrorCode::kCancelled) return {};
    if (!log) return base::fail(log.error());
    if (log->lost && !lost_) display_.note(log->lost->to_string() + "; trying again");
    if (log->lost) lost_ = true;
    if (!log->events.empty()) lost_ = false;
    for (const client::ServerEvent& event : log->events) AIRLOCK_TRY(take(event));
    if (log->ended) {
      log_ended_ = true;
      next_look_ = {};
    }
    return {};
  }

  base::Status take(const client::ServerEvent& event) {
    if (event.name != "log") return {};
    boost::system::error_code failed;
    const boost::json::value value = boost::json::parse(event.data, failed);
    const auto* const object = failed ? nullptr : value.if_object();
    const auto entry = object == nullptr ? std::nullopt : read_log_entry(*object);
    if (!entry) {
      return base::fail(base::ErrorCode::kProtocol, "the service sent an entry that is none");
    }
    if (entry->phase != phase_) next_look_ = {};  // its state has just changed, too
    phase_ = entry->phase;
    display_.show_log(*entry, event.data);
    return {};
  }

  const client::JobClient& client_;
  const base::Clock& clock_;
  const InterruptWatch& watch_;
  JobDisplay& display_;
  const FollowRequest& request_;
  client::LogFollower follower_;
  client::JsonAnswer job_;
  std::string phase_;  // of the last entry
  std::chrono::steady_clock::time_point next_look_{};
  bool log_ended_ = false;
  bool lost_ = false;
};

}  // namespace

base::Result<FollowEnd> follow(const client::JobClient& client, const base::Clock& clock,
                               const InterruptWatch& watch, JobDisplay& display,
                               const FollowRequest& request) {
  auto end = Follow(client, clock, watch, display, request).run();
  display.close();
  return end;
}

model::WallTime time_of(const client::JsonAnswer& answer, const base::Clock& clock) {
  if (answer.server_time) return *answer.server_time;
  return std::chrono::floor<std::chrono::microseconds>(clock.wall_now());
}

}  // namespace airlock::apps
