// The request of POST /run, as the runner of Amon takes it, into a run of ours.
//
//   {"request_id"?, "language": "python" | "bash", "code", "timeout_s": 1..120,
//    "input_files": [{"path", "content_b64"}]}       other members are ignored
//
// What is wrong with the values is a 400 with that runner's own text, what is no such JSON a 422.
// Refused beyond it: "C:/x", two files at one place, control characters in a path. Input files are
// read-only below /input; what the program leaves below /output comes back. The answer is
// amon_result.h's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/units.h"
#include "http/api_error.h"
#include "http/parsed_run.h"
#include "http/run_catalog.h"
#include "model/run_spec.h"

namespace airlock::http {

// A link to the workspace in every sandbox: programs name it, and see the workspace.
inline constexpr const char* kAmonWorkingDirectory = "/work";
inline constexpr std::string_view kAmonInputPrefix = "input/";

inline constexpr int kAmonTimeoutSecondsMin = 1;
inline constexpr int kAmonTimeoutSecondsMax = 120;
inline constexpr int kAmonTimeoutSecondsDefault = 10;

// The defaults are those of that runner; every maximum is still allowed.
struct AmonLimits {
  std::size_t body_bytes_max = std::size_t{16} << 20;  // of the JSON text
  std::size_t request_id_bytes_max = 256;
  std::size_t code_bytes_max = 131'072;
  std::size_t files_max = 32;                           // inputs and outputs, each
  std::size_t file_bytes_max = std::size_t{2} << 20;    // one input or output
  std::size_t input_bytes_max = std::size_t{8} << 20;   // all inputs
  std::size_t output_bytes_max = std::size_t{8} << 20;  // all outputs
  std::uint32_t pids = 128;
  std::uint32_t cpu_rate_percent = 100;
  base::ByteCount memory = base::mebibytes(512);
  base::ByteCount disk = base::mebibytes(64);  // /workspace, /tmp and /output together
  model::LimitsGiven maxima = {};  // of the operator, for every route; a timeout above is refused
};

struct AmonRun {
  ParsedRun run;
  std::string request_id;  // empty: none was given
  std::string language;    // "python" or "bash"
  int timeout_s = kAmonTimeoutSecondsDefault;
  std::size_t code_bytes = 0;
  std::size_t input_files = 0;
  std::size_t input_bytes = 0;
};

ApiResult<AmonRun> parse_amon_run(std::string_view body, const RunCatalog& catalog,
                                  const AmonLimits& limits);

// As that runner normalises it: trimmed, '\' as '/', without empty and "." parts. The error's
// message is the text for the client.
ApiResult<std::string> normalise_amon_path(std::string_view path);

// {"detail": message}
std::string amon_error_json(const ApiError& error);

}  // namespace airlock::http
