// The result object: model::RunResult as JSON, the same from the CLI, POST /v1/run and a job's
// phases.
//
// Keys and types are those of the API documentation. Text fields are UTF-8; where the bytes of a
// stream or a file are not, they are base64 and `encoding` says so ("encoding" of the result covers
// stdout and stderr together). A truncated stream that ends inside a character loses that piece
// rather than becoming base64. "refused_files" is there only if an output was refused.
#pragma once

#include <cstddef>
#include <string>

#include "model/run_result.h"

namespace airlock::http {

// One line, without a newline at its end.
std::string result_json(const model::RunResult& result);

// How much of it came from programs: what writing it out takes its time for.
std::size_t captured_bytes(const model::RunResult& result);

}  // namespace airlock::http
