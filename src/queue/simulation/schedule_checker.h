// For tests: watches a simulation and says what it did wrong, from an account of its own.
//
// Nothing is taken from what it watches but the events: free resources, GPUs, waits and promises
// are counted here again.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "queue/simulation/simulation.h"

namespace airlock::queue {

class ScheduleChecker : public Observer {
 public:
  ScheduleChecker(std::span<const TraceJob> jobs, const Resources& host, const Knobs& knobs);

  void decided(const Snapshot& snapshot, const Decision& decision) override;
  void started(std::size_t job, WallTime now, std::span<const std::uint32_t> gpus) override;
  void ended(std::size_t job, WallTime now) override;
  // After the simulation.
  void finish();

  // What went wrong, each kind once with its first case; empty: nothing.
  const std::map<std::string, std::string>& faults() const { return faults_; }
  std::size_t events() const { return events_; }
  std::size_t promises() const { return promises_; }
  std::size_t passed() const { return passed_; }  // jobs that started while one had a reservation

 private:
  void fault(const std::string& kind, WallTime now, const std::string& about);
  void arrive(WallTime now);
  void check_resources(const Snapshot& snapshot, const Decision& decision);
  void check_promise(const Snapshot& snapshot, const Decision& decision);
  void check_new_promise(const Decision& decision, WallTime now);
  WaitingJob waiting_job(std::size_t index) const;

  std::span<const TraceJob> jobs_;
  Resources host_;
  Resources held_;
  Knobs knobs_;
  Duration bound_max_{0};
  std::vector<std::optional<std::size_t>> gpu_owners_;
  std::vector<std::vector<std::uint32_t>> gpus_of_;
  std::vector<std::optional<WallTime>> starts_;
  std::vector<bool> is_over_;
  std::set<std::size_t> waiting_;  // indices, and so by arrival
  std::size_t arrived_ = 0;
  std::optional<Reservation> promise_;
  std::size_t events_ = 0;
  std::size_t promises_ = 0;
  std::size_t passed_ = 0;
  std::map<std::string, std::string> faults_;
};

}  // namespace airlock::queue
