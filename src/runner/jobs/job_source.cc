#include "runner/jobs/job_source.h"

#include <filesystem>
#include <utility>

#include "receipt/digest.h"
#include "runner/jobs/job_files.h"
#include "runner/jobs/shell_script.h"
#include "source/git_names.h"
#include "source/repo_url.h"

namespace airlock::runner {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRepositoryFilesMax = 5'000;
constexpr std::size_t kLayerHashDigits = 16;

}  // namespace

source::SourceKnobs source_knobs(const JobSettings& settings) {
  source::SourceKnobs knobs;
  knobs.allowed_repo_hosts = settings.allowed_repo_hosts;
  knobs.clone_timeout = std::chrono::ceil<std::chrono::seconds>(settings.timeouts.clone);
  knobs.depth = settings.clone_depth;
  knobs.submodules = settings.clone_submodules;
  knobs.file_roots = settings.file_roots;
  knobs.ssh = settings.ssh;
  return knobs;
}

base::Status check_source(const model::JobSpec& spec, const JobSettings& settings) {
  AIRLOCK_TRY(plan_clone(spec, settings));
  AIRLOCK_TRY(source::parse_repo_path(spec.repo_path));
  return source::check_custom_env(spec.env);
}

base::Result<source::ClonePlan> plan_clone(const model::JobSpec& spec,
                                           const JobSettings& settings) {
  source::ClonePaths paths;
  paths.repository = kRepositoryPlace;
  return source::make_clone_plan(spec, source_knobs(settings), paths);
}

base::Result<std::vector<backend::InputFile>> clone_files(const source::ClonePlan& plan) {
  std::vector<backend::InputFile> files;
  for (const source::PlanFile& file : plan.files) {
    AIRLOCK_ASSIGN(base::UniqueFd content, memory_file(file.text));
    files.push_back({.path = file.path.substr(1), .content = std::move(content)});
  }
  return files;
}

std::vector<std::string> clone_script(const source::ClonePlan& plan) {
  std::vector<ScriptCommand> commands;
  for (const source::CloneStep& step : plan.steps) {
    commands.push_back(
        {.argv = step.argv,
         .only_if_previous_failed = step.when == source::CloneStep::When::kPreviousFailed,
         .tolerated = step.failure == source::CloneStep::Failure::kTolerated});
  }
  commands.push_back({.argv = {"/bin/rm", "-rf", "--", kRepositoryPlace}, .tolerated = true});
  return make_script(commands);
}

std::string clone_error_prefix(const source::ClonePlan& plan, int exit_code) {
  const auto failed = failed_command(exit_code);
  if (failed && *failed < plan.steps.size()) return plan.steps[*failed].error_prefix;
  return "Git clone failed: ";
}

base::Result<std::vector<backend::InputFile>> repository_files(const source::RepositoryBind& bind) {
  const fs::path root = fs::path(bind.root) / bind.below;
  // A folder without a working tree, or the part of one with it.
  std::error_code error;
  const fs::path folder = fs::is_directory(root / ".git", error) ? root / ".git" : root;
  const std::string place = std::string(kRepositoryPlace).substr(1) + "/";
  std::vector<backend::InputFile> files;
  for (auto at = fs::recursive_directory_iterator(folder, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (!at->is_regular_file(error) || at->is_symlink(error)) continue;
    const std::string path = at->path().lexically_relative(folder).string();
    if (path.starts_with("hooks/")) continue;
    if (files.size() >= kRepositoryFilesMax) {
      return base::fail(
          base::ErrorCode::kLimitExceeded,
          "the repository has more than " + std::to_string(kRepositoryFilesMax) + " files",
          "git gc packs them");
    }
    AIRLOCK_ASSIGN(base::UniqueFd content,
                   open_beneath(bind.root, (folder / path).lexically_relative(bind.root).string()));
    files.push_back({.path = place + path, .content = std::move(content), .executable = false});
  }
  if (error) {
    return base::fail(base::errno_error("read the repository " + bind.below, error.value()));
  }
  // A folder that git looks for may be empty, and only files can be put.
  for (const char* const folder_file : {"refs/.keep", "objects/.keep"}) {
    AIRLOCK_ASSIGN(base::UniqueFd nothing, memory_file(""));
    files.push_back({.path = place + folder_file, .content = std::move(nothing)});
  }
  return files;
}

base::Result<JobProgram> plan_program(const source::RepositoryView& view,
                                      const source::HostChecks& host) {
  JobProgram program;
  AIRLOCK_ASSIGN(program.checked, source::check_repository(view, host));
  AIRLOCK_ASSIGN(program.build, source::make_build_plan(view, program.checked.job_file));
  return program;
}

std::vector<std::string> build_script(const source::BuildPlan& plan) {
  std::vector<ScriptCommand> commands;
  for (const source::BuildStep& step : plan.steps) {
    commands.push_back({.argv = step.argv, .echo = true});
  }
  return make_script(commands);
}

std::vector<std::string> phase_argv(source::Phase phase, const source::PhasePlan& plan,
                                    const source::BuildPlan& build) {
  if (phase != source::Phase::kPrep || build.links.empty()) return plan.argv;
  std::string script;
  for (const source::Command& link : build.links) {
    for (const std::string& word : link) script += quote_for_shell(word) + " ";
    script += "|| exit 1\n";
  }
  if (!plan.argv.empty()) {
    script += "exec";
    for (const std::string& word : plan.argv) script += " " + quote_for_shell(word);
  }
  return {"/bin/sh", "-c", script + "\n"};
}

std::string layer_name(const std::string& tenant, const std::string& build_digest) {
  return "t" + receipt::sha256_hex(tenant).substr(0, kLayerHashDigits) + "_" + build_digest;
}

}  // namespace airlock::runner
