// The request of POST /v1/run, as JSON, into a runner::RunRequest.
//
//   {"language": "python", "code": "...", "args": [...]}   or   {"argv": ["./prog", ...]}, and
//   "stdin": "...", "env": {"NAME": "value"}, "outputs": ["out.txt", "*.png"],
//   "files": [{"path": "a.csv", "content": "...", "encoding": "utf8" | "base64", "executable"}],
//   "network": {"mode": "none" | "gateway", "allow": ["example.com", ".example.com", "pypi"]},
//   "limits": {"wall_ms", "cpu_ms", "memory_bytes", "pids", "output_bytes", "disk_bytes", "files",
//   "cpus"}, "min_isolation": "process" | "container" | "kernel", "seccomp_profile": "default"
//
// Strict: an unknown key is refused with the nearest valid one. Paths and patterns are relative to
// /workspace. A file that argv[0] names ("a", "./a", "/workspace/a") is executable; others are not
// unless they say so. May block for as long as the catalog looks for a toolchain.
#pragma once

#include <string_view>

#include "http/api_error.h"
#include "http/parsed_run.h"
#include "http/run_catalog.h"
#include "http/run_limits.h"

namespace airlock::http {

// 400 for what is wrong with the request, 413 for a body above policy.body_bytes_max, 503 where the
// host lacks the language, 500 where it lacks descriptors or memory.
ApiResult<ParsedRun> parse_run(std::string_view body, const RunCatalog& catalog,
                               const RunLimitsPolicy& policy);

}  // namespace airlock::http
