// A RunCatalog for tests and fuzzing that is the same on every host: its languages run with env(1).
//
// python, bash (alias shell) and javascript are run as they are, c is compiled first, and cobol's
// toolchain is missing. Never part of a program.
#pragma once

#include <memory>
#include <string_view>

#include "base/check.h"
#include "http/run_catalog.h"

namespace airlock::http {

inline constexpr std::string_view kFakeLanguages = R"(
languages:
  python:
    aliases: [py]
    extensions: [.py]
    file_name: main.py
    toolchains:
      - name: Fake Python
        tools: {env: coreutils}
        version: [env, --version]
        env: {PYTHONUNBUFFERED: "1"}
        run:
          argv: [env, python3, "{source}", "{args}"]
          limits: {wall_time: 20s}
  bash:
    aliases: [sh, shell]
    extensions: [.sh]
    file_name: main.sh
    toolchains:
      - name: Fake Bash
        tools: {env: coreutils}
        version: [env, --version]
        run: {argv: [env, bash, "{source}", "{args}"]}
  javascript:
    extensions: [.js]
    file_name: main.js
    toolchains:
      - name: Fake Node
        tools: {env: coreutils}
        version: [env, --version]
        run: {argv: [env, node, "{source}", "{args}", "--heap={memory_bytes}"]}
  c:
    extensions: [.c]
    file_name: main.c
    toolchains:
      - name: Fake C
        tools: {env: coreutils}
        version: [env, --version]
        compile:
          argv: [env, cc, -o, "{binary}", "{source}"]
          limits: {wall_time: 30s}
        run: {argv: ["{binary}", "{args}"]}
  cobol:
    extensions: [.cob]
    file_name: main.cob
    toolchains:
      - name: Fake Cobol
        tools: {no-such-cobol-compiler: gnucobol4}
        version: [no-such-cobol-compiler, --version]
        run: {argv: [no-such-cobol-compiler, "{source}", "{args}"]}
)";

inline std::unique_ptr<RunCatalog> make_fake_catalog() {
  auto table = language::LanguageTable::parse(kFakeLanguages, "fake");
  AIRLOCK_CHECK(table.has_value());
  return std::make_unique<RunCatalog>(std::move(*table));
}

}  // namespace airlock::http
