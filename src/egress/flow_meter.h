// What relays tell of the bytes that pass: to a session's budget and ledger, and to the deadline.
//
// Borrow what they are made from. For the gateway's thread.
#pragma once

#include <chrono>
#include <string>

#include "base/clock.h"
#include "base/units.h"
#include "egress/budget.h"
#include "egress/ledger.h"
#include "egress/relay.h"

namespace airlock::egress {

// For our own answers, which cost nothing and move no deadline.
class SilentMeter final : public Meter {
 public:
  bool pass(std::size_t) override { return true; }
  void touch() override {}
};

inline std::string budget_reason(std::uint64_t bytes_max) {
  return "the budget of " + base::format_byte_count(base::ByteCount(bytes_max)) + " is used up";
}
inline std::string budget_fix() { return "the operator can raise it, with egress_bytes"; }

// One direction of a connection that is open.
class FlowMeter final : public Meter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  FlowMeter(Ledger& ledger, Ledger::Line& line, Ledger::Direction direction,
            const Destination& destination, const base::Clock& clock,
            std::chrono::milliseconds idle, Time& deadline)
      : ledger_(ledger),
        line_(line),
        direction_(direction),
        destination_(destination),
        clock_(clock),
        idle_(idle),
        deadline_(deadline) {}

  bool pass(std::size_t bytes) override {
    if (ledger_.spend(line_, direction_, bytes)) return true;
    ledger_.refused(destination_, budget_reason(ledger_.bytes_max()), budget_fix());
    return false;
  }
  void touch() override { deadline_ = clock_.steady_now() + idle_; }

 private:
  Ledger& ledger_;
  Ledger::Line& line_;
  Ledger::Direction direction_;
  const Destination& destination_;
  const base::Clock& clock_;
  std::chrono::milliseconds idle_;
  Time& deadline_;
};

}  // namespace airlock::egress
