// When running jobs give back what they hold, at the latest: from that, when a job surely fits.
//
// A promise is a time and what is over then, once the job has its part. Others keep it as long as
// they end by that time, or take no more than what is over.
#pragma once

#include <span>
#include <vector>

#include "queue/waiting_job.h"

namespace airlock::queue {

struct Promise {
  WallTime at{};
  Resources spare;

  // Whether a job that starts now keeps the promise.
  bool allows(const Resources& ask, WallTime end) const;
  // It has started.
  void take(const Resources& ask, WallTime end);
};

class Releases {
 public:
  // A job that is over its bound counts as ending now.
  Releases(std::span<const RunningJob> running, WallTime now);

  void add(const Resources& held, WallTime end);
  // The earliest time at which `ask` surely fits, if nothing else starts. Where it would not fit
  // even after the last end (something is held by nobody who runs), that time with nothing over.
  Promise promise(const Resources& ask, const Resources& free) const;

 private:
  struct Release {
    WallTime at{};
    Resources held;
  };
  WallTime now_;
  std::vector<Release> releases_;  // by time
};

}  // namespace airlock::queue
