// The answer to POST /run, as the runner of Amon gives it, and that runner's two log events.
//
//   {"id", "job_id", "request_id", "exit_code", "stdout", "stderr", "duration_ms", "timed_out",
//    "output_files": [{"path", "content_b64", "size"}]}
//
// Text is UTF-8 with U+FFFD for what is none. A timeout has exit code 124, timed_out true, and the
// output that there was; what ran out of memory has 137, what signal n ended 128+n. Output files
// over a limit, and symbolic links, are a 400 with that runner's "detail", and beside it all of the
// answer but the files; what else could not be given back is named at the end of stderr. Pure
// functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "http/amon_api.h"
#include "http/api_error.h"
#include "model/run_result.h"

namespace airlock::http {

struct AmonIds {
  std::string job_id;  // 32 hexadecimal digits; the member "id" is the same
  std::string request_id;
};

struct AmonAnswer {
  int status = 200;  // 400 for outputs, 500 where no sandbox could be made or the run was cancelled
  std::string body;  // one line
};
AmonAnswer amon_answer(const AmonIds& ids, const model::RunResult& result,
                       const AmonLimits& limits);
AmonAnswer amon_answer(const ApiError& error);

struct AmonStartEvent {
  AmonIds ids;
  int timeout_s = 0;
  std::size_t code_bytes = 0;
};

inline constexpr int kAmonNeverRan = -1;  // the exit code of an event about no run

struct AmonFinishEvent {
  AmonIds ids;
  bool ok = false;
  int exit_code = kAmonNeverRan;
  bool timed_out = false;
  std::int64_t duration_ms = 0;
  std::size_t input_files = 0;
  std::size_t input_bytes = 0;
  std::size_t output_files = 0;
  std::size_t output_bytes = 0;
};

// JSON objects of one line, keys sorted.
std::string amon_start_event_json(const AmonStartEvent& event);
std::string amon_finish_event_json(const AmonFinishEvent& event);

}  // namespace airlock::http
