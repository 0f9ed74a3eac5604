#include "queue/releases.h"

#include <algorithm>

#include "queue/resources.h"

namespace airlock::queue {

bool Promise::allows(const Resources& ask, WallTime end) const {
  return end <= at || fits(ask, spare);
}

void Promise::take(const Resources& ask, WallTime end) {
  if (end > at) spare = minus(spare, ask);
}

Releases::Releases(std::span<const RunningJob> running, WallTime now) : now_(now) {
  releases_.reserve(running.size() + 16);
  for (const RunningJob& job : running) {
    releases_.push_back({.at = std::max(job.latest_end, now), .held = job.held});
  }
  std::ranges::sort(releases_, {}, &Release::at);
}

void Releases::add(const Resources& held, WallTime end) {
  const auto place = std::ranges::upper_bound(releases_, end, {}, &Release::at);
  releases_.insert(place, {.at = end, .held = held});
}

Promise Releases::promise(const Resources& ask, const Resources& free) const {
  Resources then = free;
  WallTime at = now_;
  std::size_t next = 0;
  while (next < releases_.size() && (!fits(ask, then) || releases_[next].at <= at)) {
    at = std::max(at, releases_[next].at);
    then = plus(then, releases_[next].held);
    ++next;
  }
  return {.at = at, .spare = minus(then, ask)};
}

}  // namespace airlock::queue
