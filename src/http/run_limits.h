// RunLimitsPolicy: what an operator lets a client of POST /v1/run ask for at most.
//
// A client's limit above the maximum is refused with both numbers. A language's own default above
// it is lowered in silence for the program; its compile phase keeps what the languages file, which
// is the operator's, says.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "egress/budget.h"
#include "egress/policy.h"
#include "http/api_error.h"
#include "http/json_reader.h"
#include "model/image_list.h"
#include "model/limits.h"
#include "model/run_spec.h"

namespace airlock::http {

struct RunLimitsPolicy {
  // The most a client may ask for, each within the range of model::validate. A cpu_rate_percent of
  // 0 is no maximum; any other also holds for who asks for nothing.
  model::Limits limits_max = {
      .wall_time = std::chrono::minutes(10),
      .cpu_time = std::chrono::minutes(10),
      .memory = base::gibibytes(4),
      .pids = 1'024,
      .cpu_rate_percent = 0,
      .output = base::mebibytes(8),
      .disk = base::gibibytes(1),
      .inodes = 1'048'576,
      .open_files = 65'536,
  };
  // What a run has that asks for nothing, in a language that asks for nothing. Above the maximum it
  // is lowered in silence.
  model::Limits defaults = {};
  // Bytes of the JSON text: 1 KiB to 1 GiB.
  base::ByteCount body_bytes_max = base::mebibytes(32);
  base::ByteCount code_bytes_max = base::mebibytes(1);
  base::ByteCount stdin_bytes_max = base::mebibytes(16);
  base::ByteCount file_bytes_max = base::mebibytes(16);   // one file, decoded
  base::ByteCount files_bytes_max = base::mebibytes(16);  // all of them
  std::uint32_t files_max = 256;   // each is a descriptor of ours until the run ends
  std::uint32_t outputs_max = 64;  // patterns
  std::vector<std::string> seccomp_profiles = {"default"};  // that a client may name
  model::ImageList images = {};                             // that a client may name
  egress::Policy egress = {};  // where a client's program may connect to at most; default: nowhere
  egress::Budget egress_budget = {};
};

// Whether `limits_max` makes sense: an error names the field, the value and the range.
base::Status validate(const RunLimitsPolicy& policy);

// The member "limits" of a request; nothing given if it is left out. wall_ms, cpu_ms, memory_bytes,
// pids, output_bytes, disk_bytes, files (files and folders), cpus (cores, such as 1.5).
ApiResult<model::LimitsGiven> read_limits(const JsonObject& request, const RunLimitsPolicy& policy);

// `given`, with the policy's maximum in every field where `planned` is above it.
model::LimitsGiven capped(const model::Limits& planned, const model::LimitsGiven& given,
                          const RunLimitsPolicy& policy);

// `given`, with the maximum in every field that has one and where `planned` is above it.
model::LimitsGiven capped_by(const model::LimitsGiven& maxima, const model::Limits& planned,
                             const model::LimitsGiven& given);

}  // namespace airlock::http
