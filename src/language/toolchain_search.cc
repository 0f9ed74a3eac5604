#include "language/toolchain_search.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <utility>

#include "base/child_process.h"
#include "language/language_table.h"
#include "language/yaml_reader.h"

namespace airlock::language {
namespace {

using base::ErrorCode;
using base::Result;
namespace fs = std::filesystem;

constexpr int kLinksMax = 40;  // as the kernel's MAXSYMLINKS
constexpr base::CommandLimits kVersionLimits = {.timeout = std::chrono::seconds(20),
                                                .output_max = base::kibibytes(64)};

bool is_program(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

bool is_below(const fs::path& path, const std::string& tree) {
  return path.string().starts_with(tree + "/");
}

// Whether every link on the way from `path` to its file can be followed inside a sandbox. /bin is
// itself a link to /usr/bin there and here, so the folder of each step is resolved first.
bool resolves_inside(fs::path path, const std::string& tree) {
  std::error_code error;
  for (int i = 0; i < kLinksMax; ++i) {
    const fs::path folder = fs::canonical(path.parent_path(), error);
    if (error) return false;
    path = folder / path.filename();
    if (!is_below(path, tree)) return false;
    if (!fs::is_symlink(path, error)) return !error;
    const fs::path target = fs::read_symlink(path, error);
    if (error) return false;
    path = folder / target;
  }
  return false;
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> folders;
  while (!path.empty()) {
    const std::size_t colon = path.find(':');
    if (const auto folder = path.substr(0, colon); folder.starts_with('/')) {
      folders.emplace_back(folder);
    }
    path.remove_prefix(colon == std::string_view::npos ? path.size() : colon + 1);
  }
  return folders;
}

// Where the caller has a tool that a sandbox does not see; "" if nowhere.
std::string note_elsewhere(std::string_view executable, const ToolSearchOptions& options) {
  for (const std::string& folder : split_path(options.path + ":" + options.caller_path)) {
    const fs::path path = fs::path(folder) / executable;
    if (is_program(path)) {
      return path.string() + " exists, but a sandbox sees only " + options.visible_tree;
    }
  }
  return "";
}

// A toolchain that was looked at and found wanting.
struct Attempt {
  InstalledToolchain installed;
  ToolchainGap gap;
  bool complete() const { return gap.missing.empty() && gap.note.empty(); }
};

void check_version(Attempt& attempt) {
  const Toolchain& toolchain = *attempt.installed.toolchain;
  const std::string& tool = toolchain.version.front();
  Result<Version> version = query_version(attempt.installed);
  if (!version) {
    attempt.gap.note = version.error().to_string();
  } else if (*version < *toolchain.version_min) {
    attempt.gap.note = tool + " is " + version->to_string() + ", and " +
                       toolchain.version_min->to_string() + " or newer is needed";
  } else {
    attempt.installed.version = std::move(*version);
  }
}

Attempt try_toolchain(const Toolchain& toolchain, const ToolSearchOptions& options) {
  Attempt attempt;
  attempt.installed.toolchain = &toolchain;
  for (const Tool& tool : toolchain.tools) {
    Result<std::string> path = find_tool(tool.executable, options);
    if (path) {
      attempt.installed.paths.emplace(tool.executable, std::move(*path));
    } else {
      attempt.gap.missing.push_back({tool, note_elsewhere(tool.executable, options)});
    }
  }
  if (attempt.gap.missing.empty() && toolchain.version_min) check_version(attempt);
  return attempt;
}

// What it takes to close a gap: a package can be installed, but whether that brings a version that
// is new enough is not known, and a version that is there and too old cannot be helped so easily.
std::size_t cost_of(const Attempt& attempt) {
  constexpr std::size_t kUnsure = kToolsMax + 1;
  if (attempt.gap.missing.empty()) return 2 * kUnsure;
  const bool sure = !attempt.installed.toolchain->version_min;
  return attempt.gap.missing.size() + (sure ? 0 : kUnsure);
}

}  // namespace

Result<std::string> find_tool(std::string_view executable, const ToolSearchOptions& options) {
  for (const std::string& folder : split_path(options.path)) {
    const fs::path path = fs::path(folder) / executable;
    if (!is_program(path)) continue;
    if (resolves_inside(path, options.visible_tree)) return path.string();
    std::error_code error;
    const fs::path end = fs::canonical(path, error);
    if (!error && is_below(end, options.visible_tree)) return end.string();
  }
  return base::fail(ErrorCode::kNotFound, "no " + std::string(executable) + " in " + options.path);
}

std::expected<InstalledToolchain, ToolchainGap> find_toolchain(const Language& language,
                                                               const ToolSearchOptions& options) {
  std::optional<Attempt> easiest;
  for (const Toolchain& toolchain : language.toolchains) {
    Attempt attempt = try_toolchain(toolchain, options);
    if (attempt.complete()) return std::move(attempt.installed);
    if (!easiest || cost_of(attempt) < cost_of(*easiest)) easiest = std::move(attempt);
  }
  return std::unexpected(easiest ? std::move(easiest->gap) : ToolchainGap{});
}

Result<InstalledToolchain> require_toolchain(const Language& language,
                                             const ToolSearchOptions& options) {
  auto found = find_toolchain(language, options);
  if (found) return std::move(*found);
  std::vector<std::string> tools;
  std::string packages;
  std::string notes = found.error().note;
  for (const MissingTool& missing : found.error().missing) {
    tools.push_back(missing.tool.executable);
    if (packages.find(" " + missing.tool.package) == std::string::npos) {
      packages += " " + missing.tool.package;
    }
    if (notes.empty()) notes = missing.note;
  }
  std::string message = language.name + " cannot run on this host";
  if (!tools.empty()) message += ": no " + join_names(tools) + " in " + options.path;
  if (!notes.empty()) message += " (" + notes + ")";
  return base::fail(ErrorCode::kUnavailable, std::move(message),
                    packages.empty() ? "" : "apt-get install" + packages);
}

Result<Version> query_version(const InstalledToolchain& installed) {
  const Toolchain& toolchain = *installed.toolchain;
  // Nothing of the caller's environment: a tool must say what it will be inside.
  std::vector<std::string> command = {"/usr/bin/env", "-i", "PATH=" + std::string(kSandboxPath),
                                      "LC_ALL=C.UTF-8", "HOME=/nonexistent"};
  command.insert(command.end(), toolchain.env.begin(), toolchain.env.end());
  command.push_back(installed.paths.at(toolchain.version.front()));
  command.insert(command.end(), toolchain.version.begin() + 1, toolchain.version.end());
  const std::string& tool = toolchain.version.front();
  AIRLOCK_ASSIGN(const base::CommandOutput output,
                 base::run_command(std::move(command), kVersionLimits).with_context(tool));
  if (!WIFEXITED(output.wait_status) || WEXITSTATUS(output.wait_status) != 0) {
    return base::fail(ErrorCode::kUnavailable, tool + " is there but does not start");
  }
  if (std::optional<Version> version = Version::find_in(output.text)) return std::move(*version);
  return base::fail(ErrorCode::kUnavailable, tool + " does not say its version");
}

}  // namespace airlock::language
