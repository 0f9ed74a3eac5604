// Ledger: what one session asked for and what became of it, and how much of its budget is used.
//
// Bounded: destinations beyond kLedgerEntriesMax are counted together under "(others)". Written by
// the gateway's thread, read by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "egress/host_name.h"
#include "model/network.h"
#include "model/outcome.h"

namespace airlock::egress {

inline constexpr std::size_t kLedgerEntriesMax = 1'000;
inline constexpr const char* kOtherHosts = "(others)";
inline constexpr std::size_t kDenialsMax = 64;

// Of all sessions of a gateway, since it began. Outlives their ledgers.
struct Totals {
  std::atomic<std::uint64_t> connected{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> bytes_out{0};
  std::atomic<std::uint64_t> bytes_in{0};
};

class Ledger {
 public:
  enum class Direction { kOut, kIn };  // as the sandbox sees it

  // One destination and verdict. Valid as long as the ledger.
  struct Line {
    std::atomic<std::uint64_t> connections{0};
    std::atomic<std::uint64_t> bytes_out{0};
    std::atomic<std::uint64_t> bytes_in{0};
  };

  // What is counted here is counted in `totals`, too, which is borrowed.
  Ledger(std::uint64_t bytes_max, Totals& totals) : bytes_max_(bytes_max), totals_(totals) {}

  // A connection that was made.
  Line& connected(const Destination& destination);
  // One that was allowed and could not be made.
  void failed(const Destination& destination, const std::string& reason);
  void refused(const Destination& destination, const std::string& reason, const std::string& fix);
  // What was refused before it named a destination: "a Host that differs from the URI's".
  void malformed(const std::string& reason);

  // Counts bytes that are about to be passed on. False: they are beyond the budget.
  bool spend(Line& line, Direction direction, std::uint64_t bytes);
  bool spent_all() const { return bytes_.load(std::memory_order_relaxed) >= bytes_max_; }
  std::uint64_t bytes_max() const { return bytes_max_; }

  std::vector<model::EgressEntry> entries() const;  // sorted by host, port, verdict
  std::vector<model::Denial> denials() const;       // in the order of their first time

 private:
  using Key = std::tuple<std::string, std::uint16_t, bool, std::string>;
  Line& line_of(const Destination& destination, bool allowed, const std::string& reason);

  const std::uint64_t bytes_max_;
  Totals& totals_;
  std::atomic<std::uint64_t> bytes_{0};
  mutable std::mutex mutex_;
  std::map<Key, std::unique_ptr<Line>> lines_;
  std::vector<model::Denial> denials_;
};

}  // namespace airlock::egress
