// A policy: which waiting jobs start now. A pure function of what it is shown.
//
// Guarantees of every policy: what it starts fits into what is free, all of it together; the same
// snapshot gives the same decision. `airlock` also keeps its promises (airlock_policy.h); the
// others are what it is compared with. A policy holds no state and may be used from any thread.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "queue/waiting_job.h"

namespace airlock::queue {

struct Snapshot {
  WallTime now{};
  const Host& host;
  std::span<const RunningJob> running;
  // From WaitingQueue::window, or ::all where a policy wants everything.
  std::span<const WaitingJob* const> waiting;
  // Who has the reservation since an earlier decision; empty: nobody. If it waits no more, or
  // cannot run any more, the reservation is void.
  std::string_view reserved;
  const Knobs& knobs;
  // When something of a tenant started last. Only the policy `seed` wants it; may be null.
  const std::map<std::string, WallTime>* last_started = nullptr;
};

class Policy {
 public:
  Policy() = default;
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;
  virtual ~Policy() = default;

  virtual std::string_view name() const = 0;
  virtual bool wants_everything() const { return true; }
  virtual Decision decide(const Snapshot& snapshot) const = 0;
};

inline constexpr std::array<std::string_view, 4> kPolicyNames = {"fifo", "best-fit", "seed",
                                                                 "airlock"};
// Null: there is no such policy.
std::unique_ptr<Policy> make_policy(std::string_view name);

}  // namespace airlock::queue
