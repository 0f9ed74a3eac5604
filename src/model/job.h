// Job: a durable two-phase run of a repository, as a caller asks for it and as it is kept.
//
// Pure values. A JobSpec is what was submitted and never changes; a JobRecord is everything that is
// kept about it and changes only through the store. The JSON names are in http/ and in the store's
// codecs. States, phases, progress and error texts: docs/http-api.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/isolation.h"
#include "model/network.h"
#include "model/outcome.h"
#include "model/run_result.h"

namespace airlock::model {

using WallTime = std::chrono::sys_time<std::chrono::microseconds>;

// In the order of a job's life. The last four are terminal.
enum class JobState {
  kPending,
  kCloning,
  kBuilding,
  kPrep,
  kInference,
  kCompleted,
  kFailed,
  kTimeout,
  kCancelled,
};
inline constexpr std::size_t kJobStates = 9;
std::string_view job_state_name(JobState state);  // "pending", ...
std::optional<JobState> find_job_state(std::string_view name);
constexpr bool is_terminal(JobState state) { return state >= JobState::kCompleted; }

// How many GPUs of which type: "0x" is none, else "1x", "2x", "4x" or "8x" and a type: "2xH200".
struct WeightClass {
  std::uint32_t gpus = 0;
  std::string gpu_type;  // empty with no GPUs

  bool operator==(const WeightClass&) const = default;
  std::string to_string() const;
};
base::Result<WeightClass> parse_weight_class(std::string_view text);

// What a job holds while it runs. Never promised twice.
struct Resources {
  std::uint32_t gpus = 0;
  std::uint32_t cpu_millis = 0;  // 1000: one core
  base::ByteCount memory;
  base::ByteCount disk;

  bool operator==(const Resources&) const = default;
};

struct JobSpec {
  std::string repo_url;
  std::string repo_branch = "main";
  std::string repo_commit;  // empty: the head of the branch
  std::string repo_path;    // of the program in the repository; empty: its root
  WeightClass weight_class;
  std::string input_uri;       // s3://..., file://..., empty: no input
  std::string output_uri;      // empty: outputs stay with the runner
  std::uint32_t priority = 0;  // 0..kPriorityMax, higher first
  std::string validator_hotkey;
  std::string miner_hotkey;
  std::map<std::string, std::string> env;
  std::string challenge;  // echoed in the receipt
  std::optional<IsolationLevel> min_isolation;
  // What is asked for; absent: what the operator's configuration says, which is also the maximum.
  std::optional<std::uint32_t> cpu_millis;
  std::optional<base::ByteCount> memory;
  std::optional<base::ByteCount> disk;
  std::optional<std::chrono::milliseconds> prep_timeout;
  std::optional<std::chrono::milliseconds> inference_timeout;
};

inline constexpr std::uint32_t kPriorityMax = 10;
inline constexpr std::size_t kJobUrlBytesMax = 2'048;
inline constexpr std::size_t kJobNameBytesMax = 256;  // branch, commit, hotkeys, challenge, key
inline constexpr std::size_t kJobEnvMax = 128;
inline constexpr base::ByteCount kJobEnvBytesMax = base::kibibytes(64);

// A step of a job that ran something: "clone", "check", "build", "prep", "inference".
struct PhaseRecord {
  std::string name;
  std::uint32_t attempt = 1;
  WallTime started_at{};
  std::optional<WallTime> ended_at;
  std::optional<Outcome> outcome;  // absent: it runs, or nobody saw its end
  Usage usage;
  Isolation isolation;
  std::vector<Denial> denied;
  std::uint64_t log_bytes = 0;  // that were written, kept or not
  bool log_truncated = false;
};

// How the network was taken away between prep and inference.
struct SealRecord {
  bool sealed = false;
  std::optional<WallTime> sealed_at;
  std::uint32_t processes_killed = 0;
  std::uint32_t connections_closed = 0;
};

struct AssignedGpu {
  std::uint32_t index = 0;
  std::string uuid;
};

// A file that came in or went out.
struct ArtifactDigest {
  std::string path;  // relative
  base::ByteCount size;
  std::string sha256;  // 64 hexadecimal digits
};

struct JobRecord {
  std::string id;  // "job_" and 12 hexadecimal digits
  JobSpec spec;
  std::string owner;  // who submitted it; empty: there are no identities
  JobState state = JobState::kPending;
  std::string phase;          // current_phase: "cloning", "downloading_input", ...
  double progress = 0;        // percent
  std::string error_code;     // "prep_failed", "runner_lost", ...; empty: none
  std::string error_message;  // the text of the contract
  bool cancel_requested = false;
  WallTime submitted_at{};
  std::optional<WallTime> started_at;  // of the attempt that counts
  std::optional<WallTime> completed_at;
  std::uint32_t attempts = 0;       // begun so far
  std::string runner_id;            // who has it
  std::uint64_t fencing_token = 0;  // grows with every claim
  std::vector<AssignedGpu> gpus;
  std::string resolved_commit;  // 40 hexadecimal digits, once cloned
  std::string source_digest;    // sha256 of the checked-out tree
  std::string build_digest;     // key of the build cache
  bool build_cached = false;
  std::vector<PhaseRecord> phases;
  std::vector<EgressEntry> egress;
  SealRecord seal;
  std::vector<ArtifactDigest> inputs;
  std::vector<ArtifactDigest> outputs;
  bool has_receipt = false;
};

}  // namespace airlock::model
