// The policy of Airlock: one order, one reservation, and whoever keeps it may pass.
//
// Jobs start in the order of `order_key`, moved back by the part of the host that their tenant
// holds (at most by `fairness_span`). One that does not fit is passed by others until it has waited
// for `starvation_threshold`. The first such job in the order gets a reservation: the earliest time
// at which it surely fits. It keeps it until it starts, and others start only if they end by then
// or take nothing that it needs, so that the time never gets later. As the order moves by a bounded
// amount, every job is first some day: none starves.
//
// Cost: linear in the window for each job that starts; bench/queue_bench.cc measures it.
#pragma once

#include <string_view>

#include "queue/policy.h"

namespace airlock::queue {

class AirlockPolicy final : public Policy {
 public:
  std::string_view name() const override { return "airlock"; }
  bool wants_everything() const override { return false; }
  Decision decide(const Snapshot& snapshot) const override;
};

}  // namespace airlock::queue
