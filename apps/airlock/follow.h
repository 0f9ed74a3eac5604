// Following a job: its log as it grows, its state beside it, until it ends or somebody stops it.
//
// Everything is borrowed. The connection may break and come back; what the service refuses, or
// that it stays away, is an error. One thread.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "apps/airlock/interrupt_watch.h"
#include "apps/airlock/job_display.h"
#include "base/clock.h"
#include "base/result.h"
#include "client/job_client.h"

namespace airlock::apps {

enum class FollowWhat { kLog, kLogAndState };

struct FollowEnd {
  enum class Kind { kJobEnded, kInterrupted, kNobodyReads };

  Kind kind = Kind::kJobEnded;
  client::JsonAnswer job = {};  // with kLogAndState: its last state
};

struct FollowRequest {
  std::string job;
  std::string phase;  // empty: all
  FollowWhat what = FollowWhat::kLog;
};

base::Result<FollowEnd> follow(const client::JobClient& client, const base::Clock& clock,
                               const InterruptWatch& watch, JobDisplay& display,
                               const FollowRequest& request);

// What the clocks of people show, where the service did not say what its own does.
model::WallTime time_of(const client::JsonAnswer& answer, const base::Clock& clock);

}  // namespace airlock::apps
