// POST /execute, as callers of the SwissBrain sandbox executor speak it.
//
//   {"code", "language", "user_id"?, "tier"?, "timeout_seconds"?, "stdin"?}   others are ignored
//   {"stdout", "stderr", "exit_code", "execution_time_ms", "memory_used_mb" | null, "truncated",
//    "security_warnings": [], "outcome"}
//
// Every language of the catalog is taken; "shell" is bash. Limits come from the caller's tier; a
// smaller timeout_seconds is honoured, a larger one is capped. Errors are {"error": text}.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/units.h"
#include "egress/budget.h"
#include "egress/policy.h"
#include "http/api_error.h"
#include "http/parsed_run.h"
#include "http/run_catalog.h"
#include "model/run_result.h"
#include "model/run_spec.h"

namespace airlock::http {

struct SwissbrainTier {
  std::string_view name;
  std::chrono::milliseconds wall_time_max;
  base::ByteCount memory;
  std::uint32_t cpu_rate_percent;
  std::uint32_t pids;
  std::uint32_t open_files;
  base::ByteCount disk;    // what the original gives as tmpfs
  base::ByteCount output;  // stdout and stderr, each
};

inline constexpr SwissbrainTier kSwissbrainTiers[] = {
    {"free", std::chrono::milliseconds(5'000), base::mebibytes(512), 50, 50, 1'024,
     base::mebibytes(100), base::kibibytes(64)},
    {"standard", std::chrono::milliseconds(30'000), base::gibibytes(2), 100, 100, 4'096,
     base::mebibytes(500), base::mebibytes(1)},
    {"pro", std::chrono::milliseconds(30'000), base::gibibytes(4), 200, 200, 16'384,
     base::gibibytes(1), base::mebibytes(1)},
    {"enterprise", std::chrono::milliseconds(120'000), base::gibibytes(8), 400, 500, 65'536,
     base::gibibytes(4), base::mebibytes(10)},
};

// What the known caller names when it knows nothing better.
inline constexpr std::string_view kSwissbrainTierDefault = "free";

// "standard" for a name that is none.
const SwissbrainTier& find_swissbrain_tier(std::string_view name);

// Every maximum is still allowed.
struct SwissbrainLimits {
  std::size_t body_bytes_max = std::size_t{8} << 20;  // of the JSON text
  std::size_t code_bytes_max = std::size_t{1} << 20;
  std::size_t stdin_bytes_max = std::size_t{1} << 20;
  std::size_t user_id_bytes_max = 256;
  model::LimitsGiven maxima = {};  // of the operator, for every route: no tier gives more
  bool network = false;            // programs have a gateway to what `egress` allows
  egress::Policy egress = {};
  egress::Budget egress_budget = {};
};

struct SwissbrainRun {
  ParsedRun run;
  std::string user_id;    // what the caller says; proves nothing
  std::string_view tier;  // the one whose limits hold
};

ApiResult<SwissbrainRun> parse_swissbrain_run(std::string_view body, const RunCatalog& catalog,
                                              const SwissbrainLimits& limits);

// Where the sandbox could not be made: that is no result of the caller's program.
std::optional<ApiError> swissbrain_failure(const model::RunResult& result);

// One line each. A failed compilation gives the compiler's messages and status.
std::string swissbrain_result_json(const model::RunResult& result);
std::string swissbrain_error_json(const ApiError& error);

}  // namespace airlock::http
