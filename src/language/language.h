// Language: how programs of one programming language are compiled and run, as data.
//
// Pure values, read from policies/languages.yaml by LanguageTable::parse, which has checked them:
// every command starts with a declared tool or "{binary}", and every placeholder is known. Says
// nothing about what this host has installed; that is toolchain_search.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "language/version.h"
#include "model/run_spec.h"

namespace airlock::language {

// An executable that a toolchain cannot do without.
struct Tool {
  std::string executable;  // a plain name, searched in kSandboxPath
  std::string package;     // the Debian package that brings it
  bool operator==(const Tool&) const = default;
};

// One exec. Placeholders in argv: {source} {stem} {binary} {memory_bytes}, and "{args}" as an
// element of its own.
struct PhaseCommand {
  std::vector<std::string> argv;
  model::LimitsGiven limits;  // what this phase needs other than model::Limits says
};

// One way to run a language: CPython, or Node with the TypeScript compiler.
struct Toolchain {
  std::string name;
  std::vector<Tool> tools;              // all of them must be present
  std::vector<std::string> version;     // argv of the command that prints a version
  std::optional<Version> version_min;   // an older one does not count
  std::vector<std::string> env;         // "NAME=value", for both phases
  std::optional<base::ByteCount> disk;  // of the workspace, which both phases share
  std::optional<std::uint32_t> inodes;
  std::string binary;  // what compile makes; "" without a compile phase
  std::optional<PhaseCommand> compile;
  PhaseCommand run;
};

struct Language {
  std::string name;
  std::vector<std::string> aliases;
  std::vector<std::string> extensions;  // with the dot; a file of this language ends in one of them
  std::string file_name;                // of a program whose own name does not fit, or has none
  std::vector<Toolchain> toolchains;    // in order of preference, at least one
};

// The PATH that guests have: tools are searched there, never in the caller's PATH.
inline constexpr std::string_view kSandboxPath = "/usr/local/bin:/usr/bin:/bin";
// The only folder of programs that a sandbox sees (with /bin and /lib, which are links into it).
inline constexpr std::string_view kVisibleTree = "/usr";

}  // namespace airlock::language
