// The JSON of `airlock languages --json`: what this host can do with each language.
//
// {"languages": [{"name": "go", "aliases": ["golang"], "extensions": [".go"],
//                 "status": "ready" | "missing" | "broken", "version": "1.19.8" | null,
//                 "toolchain": "Go", "compiled": true, "packages": ["golang-go"],
//                 "note": "..." | null}]}
// `packages` is what to install where the status is "missing", and empty otherwise.
#pragma once

#include <string>
#include <vector>

#include "language/language_status.h"

namespace airlock::http {

// One line, without a newline at its end.
std::string languages_json(const std::vector<language::LanguageStatus>& statuses);

}  // namespace airlock::http
