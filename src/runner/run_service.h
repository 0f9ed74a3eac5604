// RunService: many runs at once. Slots, a bounded queue before them, and a thread for each slot
// that drives its run with runner::run.
//
// Runs start in the order of their submission. Every accepted submission is answered exactly once,
// through `done`, on a thread of the service; a refused one never is. `done` is to hand the result
// on and return: the slot counts as free before it is called, its thread is so only afterwards. It
// may submit, but neither drain nor destroy the service. An exception of a backend or a sink
// becomes the error of that run; one of `done` is dropped.
//
// All functions may be called by any thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "backend/backend.h"
#include "base/clock.h"
#include "base/result.h"
#include "model/run_result.h"
#include "runner/output_sink.h"
#include "runner/run.h"

namespace airlock::runner {

struct RunServiceOptions {
  std::uint32_t slots = 0;                     // runs at once; 0: 2 for each processor, at least 4
  std::uint32_t waiting_max = 256;             // submissions that wait for a slot
  std::chrono::milliseconds wait_max{10'000};  // and how long each may
  egress::Gateway* gateway = nullptr;          // of all runs; outlives the service
};

enum class WhenBusy { kWait, kRefuse };

struct Submission {
  RunRequest request;                // stdin_fd is borrowed: keep its owner in `keep_alive`
  std::shared_ptr<void> keep_alive;  // let go after `done` has returned
  // Called on the thread of the slot, until `done` is called. Null: captured in the result.
  std::shared_ptr<OutputSink> output;
  std::shared_ptr<OutputSink> compile_output;
  std::shared_ptr<FileSink> files;
  WhenBusy when_busy = WhenBusy::kWait;
  // Errors beside those of runner::run: kBusy (waited for wait_max), kCancelled (it never began).
  std::function<void(base::Result<model::RunResult>)> done;
};

// What can be done to a run from outside. May outlive the run and the service. A run that waits
// ends with kCancelled and never begins; one that runs ends as an Outcome; one that ended stays as
// it is.
class RunTicket {
 public:
  virtual ~RunTicket() = default;
  // SIGTERM to the whole tree, SIGKILL after model::kTermGrace; a second time: SIGKILL at once.
  virtual void cancel() = 0;
  // SIGKILL at once: for a caller that nobody waits for any more.
  virtual void kill() = 0;
};

// Upper ends of the counters of durations, in microseconds; one more counter is for all above.
inline constexpr std::array<std::uint64_t, 15> kDurationBucketsUs = {
    250,     500,     1'000,   2'500,     5'000,     10'000,     25'000,    50'000,
    100'000, 250'000, 500'000, 1'000'000, 2'500'000, 10'000'000, 60'000'000};

struct DurationCounts {
  std::array<std::uint64_t, kDurationBucketsUs.size() + 1> buckets{};  // each run is in one of them
  std::uint64_t sum_us = 0;
};

inline constexpr std::size_t kOutcomeKinds =
    static_cast<std::size_t>(model::OutcomeKind::kCancelled) + 1;

struct RunServiceStats {
  std::uint32_t slots = 0;
  std::uint32_t running = 0;  // now
  std::uint32_t waiting = 0;  // now
  std::uint64_t started = 0;
  std::uint64_t finished = 0;    // of those that were started
  std::uint64_t refused = 0;     // by submit()
  std::uint64_t waited_out = 0;  // accepted, and not begun within wait_max
  std::uint64_t cancelled = 0;   // accepted, and called off before they began
  std::uint64_t failed = 0;      // finished with an error: ours or the host's
  std::uint64_t lost = 0;        // answers that were dropped, because `done` threw
  std::array<std::uint64_t, kOutcomeKinds> outcomes{};  // finished, by model::OutcomeKind
  DurationCounts waited;  // from submit() to the slot, of those that were started
  DurationCounts ran;     // from the slot to the result
};

// What RunServiceOptions::slots comes to.
std::uint32_t count_slots(std::uint32_t asked);

class RunService {
 public:
  // `backend` must allow open_workspace from several threads; it and `clock` outlive this.
  RunService(backend::Backend& backend, RunServiceOptions options, const base::Clock& clock);
  // drain() without patience: what runs is killed, what waits is cancelled.
  ~RunService();
  RunService(const RunService&) = delete;
  RunService& operator=(const RunService&) = delete;

  // Never blocks. Errors: kBusy: every slot is taken (WhenBusy::kRefuse), or the queue is full;
  // kUnavailable: draining, or no descriptors are left.
  base::Result<std::shared_ptr<RunTicket>> submit(Submission submission);
  // From here on nothing is accepted. Blocks until every accepted submission has been answered;
  // after `patience` what still waits is called off, and what still runs is cancelled.
  void drain(std::chrono::milliseconds patience);
  RunServiceStats stats() const;

 private:
  class Core;
  class Job;

  std::shared_ptr<Core> core_;  // shared with the tickets
  std::vector<std::jthread> threads_;
};

}  // namespace airlock::runner
