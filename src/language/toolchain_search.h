// Which toolchains this host has, seen with the eyes of a sandbox.
//
// A tool counts only if it is found in kSandboxPath and its file lies below /usr, because nothing
// else of the host is visible inside. A tool that is elsewhere (a home directory, /opt) is missing,
// and the note says where it was seen. Runs no command but a version command, and that only for a
// toolchain with a version_min; keeps nothing between calls. Blocking; any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "language/language.h"

namespace airlock::language {

struct ToolSearchOptions {
  std::string path = std::string(kSandboxPath);
  std::string visible_tree = std::string(kVisibleTree);
  std::string caller_path;  // only to say where else a tool was seen; may be empty
};

struct MissingTool {
  Tool tool;
  std::string note;  // "/root/.cargo/bin/rustc exists, but a sandbox sees only /usr", or empty
};

// A toolchain of which every tool is there. Borrows from the LanguageTable.
struct InstalledToolchain {
  const Toolchain* toolchain = nullptr;
  std::map<std::string, std::string> paths;  // executable -> path to run, valid inside, too
  std::optional<Version> version;            // known if version_min had to be checked
};

// What stands between the host and one language.
struct ToolchainGap {
  std::vector<MissingTool> missing;  // of the toolchain that is easiest to bring
  std::string note;                  // "node is 20.1.2, and 22.6 is needed", or empty
};

// The path of `executable` to use inside: the one found or, if that is a link which leads through
// folders that a sandbox does not see (/etc/alternatives), the file at its end.
base::Result<std::string> find_tool(std::string_view executable, const ToolSearchOptions& options);

// The first toolchain of the language that is complete; the gap otherwise.
std::expected<InstalledToolchain, ToolchainGap> find_toolchain(const Language& language,
                                                               const ToolSearchOptions& options);

// As find_toolchain, with the gap put in words: kUnavailable, and the package to install as hint.
base::Result<InstalledToolchain> require_toolchain(const Language& language,
                                                   const ToolSearchOptions& options);

// Runs the version command of the host with a clean environment and a time limit.
base::Result<Version> query_version(const InstalledToolchain& installed);

}  // namespace airlock::language
