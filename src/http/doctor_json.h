// The JSON of `airlock doctor --json`: the same report as the text, for scripts.
//
// {"ok": true, "tier": "full" | ... | null, "user": "...", "kernel": "...", "missing": ["..."],
//  "counts": {"ok": 1, "warn": 0, "fail": 0},
//  "findings": [{"group", "id", "status": "ok" | "warn" | "fail", "seen", "meaning": "..." | null,
//                "fix": "..." | null, "missing": ["..."]}]}
// `ok` is the exit code's meaning: runs will work at the full tier. `fix` may hold several lines.
#pragma once

#include <string>

#include "host/finding.h"

namespace airlock::http {

// One line, without a newline at its end.
std::string doctor_json(const host::Report& report);

}  // namespace airlock::http
