// What goes into a JobStore and what comes out of it, beside the job itself (model/job.h).
//
// Pure values. Every time is the store's own: nobody passes one in to be kept, so that many runners
// with clocks of their own can share a store later. It never goes back, whatever the host's clock
// does, and two jobs in the order of their submission are also in the order of `submitted_at`.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/job.h"

namespace airlock::store {

inline constexpr std::size_t kListMax = 1'000;        // jobs of a page
inline constexpr std::size_t kListTextScan = 50'000;  // jobs looked at for a page that needs a scan
inline constexpr std::size_t kWaitingMax = 10'000;    // jobs that a scheduler sees at once
inline constexpr std::size_t kWaitingQueuesMax = 10'000;  // pairs of class and owner it sees
inline constexpr std::size_t kChangesMax = 1'000;         // of one answer
inline constexpr std::size_t kPruneMax = 1'000;           // jobs that one call removes
inline constexpr std::size_t kUnfinishedMax = 10'000;
inline constexpr std::size_t kPhasesMax = 256;  // of one job, all attempts together
inline constexpr std::size_t kEgressMax = 4'096;
inline constexpr std::size_t kArtifactsMax = 100'000;  // inputs, and as many outputs
inline constexpr base::ByteCount kSpecBytesMax = base::kibibytes(256);
inline constexpr std::size_t kTextBytesMax = 16'384;  // of an error message, a reason, ...; cut

// --- submitting ----------------------------------------------------------------------------------
struct Submission {
  model::JobSpec spec;
  std::string owner;  // at most model::kJobNameBytesMax, like the key
  // The same key of the same owner with the same spec gives the same job again, until the key is
  // older than the store's `idempotency_age` or the job was pruned. Empty: none.
  std::string idempotency_key;
};

struct Submitted {
  std::string id;
  model::JobState state = model::JobState::kPending;  // of a replayed one: what it is by now
  bool replayed = false;
  std::uint64_t waiting_before = 0;  // jobs that waited when this one came; 0 when replayed
};

// --- holding a job -------------------------------------------------------------------------------
struct ClaimRequest {
  std::string id;
  std::string runner_id;
  std::vector<model::AssignedGpu> gpus;
};

// The right to change a job, from its claim until its end, its release or the next claim.
struct JobClaim {
  std::string id;
  std::uint64_t fencing_token = 0;
};

// A link of the chain of receipts of one runner: `previous` must be the last hash of the runner
// that holds the job ("" before the first), or the change is refused with kBusy: another job ended
// meanwhile, read the hash again. Only together with a terminal state.
struct ReceiptLink {
  std::string previous;
  std::string hash;
};

// What is absent stays as it is.
struct JobChange {
  std::optional<model::JobState> state;  // the same again, or one that transitions.h allows
  std::optional<std::string> phase;
  std::optional<double> progress;  // 0..100
  std::optional<std::string> error_code;
  std::optional<std::string> error_message;
  std::optional<std::vector<model::AssignedGpu>> gpus;
  std::optional<std::string> resolved_commit;
  std::optional<std::string> source_digest;
  std::optional<std::string> build_digest;
  std::optional<bool> build_cached;
  // Each takes the place of the one with its name and attempt, or is appended.
  std::vector<model::PhaseRecord> phases;
  // Each takes the place of the one with its phase, host, port, verdict and reason, or is appended.
  std::vector<model::EgressEntry> egress;
  std::optional<model::SealRecord> seal;
  std::optional<std::vector<model::ArtifactDigest>> inputs;   // all of them
  std::optional<std::vector<model::ArtifactDigest>> outputs;  // all of them
  std::optional<ReceiptLink> receipt;                         // sets has_receipt
};

// What a runner has to know after each change.
struct JobHead {
  model::JobState state = model::JobState::kPending;
  bool cancel_requested = false;
};

// --- looking -------------------------------------------------------------------------------------
struct JobFilter {
  std::vector<model::JobState> states;  // empty: all
  std::optional<std::string> owner;
  std::optional<std::string> validator_hotkey;
  std::optional<std::string> miner_hotkey;
  std::optional<std::string> weight_class;  // "2xH200"
  std::optional<std::string> text;  // part of id, repository or hotkey; ASCII case does not matter
  std::optional<model::WallTime> submitted_from;
  std::optional<model::WallTime> submitted_before;
  std::size_t limit = 100;  // 1..kListMax
  std::string cursor;       // `next` of the page before; empty: the newest
};

// Newest first. A page may have fewer jobs than asked for, even none, and `next` all the same:
// at most kListTextScan jobs are looked at for it when no index answers.
struct JobPage {
  std::vector<model::JobRecord> jobs;  // without phases, egress, seal, artifacts and digests
  std::string next;                    // empty: that was the last page
};

// Jobs in each state, by the value of model::JobState. Exact, of what has not been pruned.
using JobCounts = std::array<std::uint64_t, model::kJobStates>;

// A job that waits, with what a scheduler wants to know of it.
struct WaitingJob {
  std::string id;
  std::string owner;
  model::WeightClass weight_class;
  std::uint32_t priority = 0;
  model::WallTime submitted_at{};
  std::uint32_t attempts = 0;
  std::optional<std::uint32_t> cpu_millis;
  std::optional<base::ByteCount> memory;
  std::optional<base::ByteCount> disk;
  std::optional<std::chrono::milliseconds> prep_timeout;
  std::optional<std::chrono::milliseconds> inference_timeout;
};

struct WaitingRequest {
  std::size_t per_queue = 32;  // jobs of each class and owner
  std::string after;           // `next` of the answer before; empty: from the start
};

// Of each queue (a weight class and an owner) the first ones, in the order of
// `submitted_at - priority * priority_step`. More queues than one answer can hold go on at `next`.
struct WaitingJobs {
  std::vector<WaitingJob> jobs;
  std::string next;  // empty: these were all queues
};

// --- the feed of changes -------------------------------------------------------------------------
struct ChangeEvent {
  std::uint64_t sequence = 0;  // grows; gaps mean nothing
  model::WallTime at{};
  std::string job_id;
  std::string owner;
  model::JobState state = model::JobState::kPending;
  std::string phase;
  double progress = 0;
  bool cancel_requested = false;
  std::string reason;  // of a release
};

struct ChangesRequest {
  std::uint64_t since = 0;           // known already; beyond the newest: nothing but what comes
  std::optional<std::string> owner;  // of this one only
  std::size_t limit = kChangesMax;
};

struct ChangesPage {
  std::vector<ChangeEvent> changes;  // oldest first
  std::uint64_t last = 0;            // what to ask for next time
  bool lost = false;                 // some after `since` are pruned already: look at the jobs
};

// --- keeping house -------------------------------------------------------------------------------
// What goes, oldest end first: jobs that ended before `ended_before`, and of the rest as many as
// there are more than `keep_at_most` that have ended. Jobs that have not ended never go.
struct PruneRequest {
  std::optional<model::WallTime> ended_before;
  std::optional<std::uint64_t> keep_at_most;
};

// The records are gone when this is answered; the files of these jobs are the caller's to remove.
struct Pruned {
  std::vector<std::string> ids;  // at most kPruneMax
  bool more = false;             // ask again
};

struct RunnerRecord {
  std::string id;
  std::string receipt_hash;  // of the last receipt; empty: none yet
  model::WallTime first_seen{};
  model::WallTime last_seen{};  // at its last claim
};

}  // namespace airlock::store
