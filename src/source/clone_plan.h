// ClonePlan: how a repository comes into /workspace, as a value. Nothing is executed here.
//
// Whoever executes it runs the steps in order, in one sandbox that reaches `destinations` and
// nothing else, with exactly `env`. The caller's words are checked before and stand behind "--" or
// in refs/..., so that none is ever an option; hooks, filters, credential helpers, other protocols
// and prompts are off. The steps leave no .git: what a build reads is then the tree and no more,
// which its cache counts on; nor do they leave the key of ssh, which nothing that comes after may
// read. A repository named by file:// reaches nothing: it has to be bound read-only at
// `bind.inside`, opened below `bind.root` without following links.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/job.h"
#include "source/repo_url.h"

namespace airlock::source {

// Texts of files. Without known hosts there is no ssh: a host key is never taken on trust.
struct SshKnobs {
  std::string known_hosts;
  std::string key;  // private, in a form that ssh reads; empty: none
};

struct SourceKnobs {
  std::vector<std::string> allowed_repo_hosts = {"github.com", "gitlab.com"};
  std::chrono::seconds clone_timeout{600};
  std::uint32_t depth = 1;  // commits of a branch, and of each submodule; 0: all of them
  bool submodules = false;
  std::vector<std::string> file_roots;
  std::optional<SshKnobs> ssh;
};

// As they are inside the sandbox; tests put others here.
struct ClonePaths {
  std::string workspace = "/workspace";
  std::string scratch = "/tmp";
  std::string repository = "/input/repository.git";  // of file:// only
};

struct CloneStep {
  enum class When { kAlways, kPreviousFailed };
  enum class Failure { kFatal, kTolerated };
  enum class Output { kLog, kCommit };  // kCommit: stdout is for parse_resolved_commit

  std::vector<std::string> argv;
  std::string error_prefix;  // of the job's error text: "Git clone failed: "
  When when = When::kAlways;
  Failure failure = Failure::kFatal;
  Output output = Output::kLog;
};

struct Destination {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const Destination&) const = default;
};

// To be put into the sandbox before the first step, readable and writable by its user.
struct PlanFile {
  std::string path;  // absolute
  std::string text;
};

struct RepositoryBind {
  std::string root;    // one of file_roots
  std::string below;   // relative to it
  std::string inside;  // where the sandbox has it, read-only
};

struct ClonePlan {
  RepoUrl url;
  std::string commit;  // asked for, in lower case; empty: the head of the branch
  std::vector<CloneStep> steps;
  std::vector<std::string> env;  // "NAME=value"
  std::vector<Destination> destinations;
  std::vector<PlanFile> files;
  std::optional<RepositoryBind> bind;
  std::string timeout_error;  // "Repository clone timeout after 600 seconds"
};

base::Result<ClonePlan> make_clone_plan(const model::JobSpec& spec, const SourceKnobs& knobs,
                                        const ClonePaths& paths = {});

// What the operator can do about a clone that failed after git and ssh said that; empty: nothing
// that is known.
std::string explain_clone_failure(const ClonePlan& plan, std::string_view said);

}  // namespace airlock::source
