// BuildPlan: what makes a repository ready to run, as a value; and the name of its result.
//
// Steps run in one sandbox, in order, with the folder of the program as current folder, /workspace
// read-only, /build writable, and the network of `presets` only. What they leave in /build is the
// layer that prep and inference have there read-only; anything else they leave is lost, so that a
// build that is found in the cache and one that has just run are the same. `links` are made in
// /workspace for each job, also when the build was found.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "source/job_file.h"
#include "source/repository_view.h"

namespace airlock::source {

struct BuildStep {
  std::string name;  // for the log: "pip", "npm", "cmake", "make", "build"
  Command argv;
};

struct BuildPlan {
  std::vector<BuildStep> steps;       // empty: there is nothing to build
  std::vector<std::string> presets;   // of the egress policy: "pypi", "npm"
  std::vector<std::string> env;       // of the steps, sorted: "NAME=value"
  std::vector<Command> links;         // run before prep, in the folder of the program
  std::vector<std::string> run_path;  // in front of PATH in prep and inference
  std::vector<std::string> run_env;   // of prep and inference, sorted
  std::vector<std::string> warnings;
};

base::Result<BuildPlan> make_build_plan(const RepositoryView& view,
                                        const std::optional<JobFile>& job_file);

// Everything that a build could have read, or that could have changed its result.
struct BuildFacts {
  std::string tenant;                   // layers never cross tenants
  std::vector<TreeEntry> tree;          // of the whole checkout
  std::string repo_path;                // where in it the program is
  std::vector<std::string> toolchains;  // names and versions, in any order
  std::string host_view;                // which files of the host the sandbox sees
};

// sha256 of a tree: names, kinds, modes and contents. JobRecord::source_digest.
std::string tree_digest(const std::vector<TreeEntry>& tree);
// The key of the cache: JobRecord::build_digest.
std::string build_digest(const BuildFacts& facts, const BuildPlan& plan);

}  // namespace airlock::source
