// LanguageStatus: what one host can do with one language, as `airlock languages` shows it.
//
// Made anew on every call, nothing is kept. Versions come from the host's own tools, run outside
// any sandbox with a time limit; a program of a user is never run here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "language/language_table.h"
#include "language/toolchain_search.h"

namespace airlock::language {

enum class Presence {
  kReady,
  kMissing,  // a tool is not there
  kBroken,   // everything is there, but the version command fails
};
std::string_view presence_name(Presence presence);  // "ready", "missing", "broken"

struct LanguageStatus {
  std::string name;
  std::vector<std::string> aliases;
  std::vector<std::string> extensions;
  Presence presence = Presence::kMissing;
  bool compiled = false;              // has a compile phase of its own
  std::string toolchain;              // the one in use, or the one that would be
  std::string version;                // "3.11.2"; empty unless kReady
  std::vector<std::string> packages;  // what to install; empty unless kMissing
  std::string note;                   // why, where that is not plain
};

// One status per language, in the order of the table. Runs every version command, several at a
// time.
std::vector<LanguageStatus> detect_languages(const LanguageTable& table,
                                             const ToolSearchOptions& options);

}  // namespace airlock::language
