// RunResult: what a run gives back, the same from the CLI, HTTP and a job's phases.
//
// A pure value; the JSON names of the fields are in http/result_json.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/isolation.h"
#include "model/network.h"
#include "model/outcome.h"
#include "model/run_timings.h"

namespace airlock::model {

struct Usage {
  std::chrono::microseconds wall{0};
  std::chrono::microseconds user{0};
  std::chrono::microseconds system{0};
  std::optional<base::ByteCount> memory_peak;  // absent where the host does not tell
  std::optional<std::uint32_t> pids_peak;
};

struct OutputFile {
  std::string path;  // relative, UTF-8, no "..", no control characters
  std::string content;
};

// Something found where outputs are collected that is not given out.
struct RefusedOutput {
  std::string path;    // escaped for printing
  std::string reason;  // "symbolic link", "fifo", "larger than 1 GiB", ...
};

struct RunResult {
  Outcome outcome;
  std::string stdout_bytes;
  std::string stderr_bytes;
  bool stdout_truncated = false;
  bool stderr_truncated = false;
  std::vector<OutputFile> files;
  std::vector<RefusedOutput> refused_files;
  std::unique_ptr<RunResult> compile;  // present when the language has a compile phase
  Usage usage;
  Isolation isolation;
  std::vector<Denial> denied;
  std::vector<EgressEntry> egress;  // what went through the gateway, if there was one
  RunTimings timings;               // of the whole run; empty in `compile`
};

}  // namespace airlock::model
