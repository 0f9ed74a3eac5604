// JobSource: what a job's repository means for its steps: the plans of source/, put into words that
// a sandbox can execute.
//
// Pure but for repository_files, which opens files of the operator's roots. Nothing is executed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "model/job.h"
#include "runner/jobs/job_settings.h"
#include "source/build_plan.h"
#include "source/clone_plan.h"
#include "source/phase_plan.h"
#include "source/repository_check.h"

namespace airlock::runner {

// Where a file:// repository lies while it is cloned; gone afterwards.
inline constexpr const char* kRepositoryPlace = "/tmp/repository.git";

struct JobProgram {
  source::CheckedRepository checked;
  source::BuildPlan build;
};

source::SourceKnobs source_knobs(const JobSettings& settings);

// What is wrong with the words of a request: kInvalidArgument, in the words of the contract.
base::Status check_source(const model::JobSpec& spec, const JobSettings& settings);

base::Result<source::ClonePlan> plan_clone(const model::JobSpec& spec, const JobSettings& settings);
// The plan's own files, to be put before it.
base::Result<std::vector<backend::InputFile>> clone_files(const source::ClonePlan& plan);
// One program that carries out the plan.
std::vector<std::string> clone_script(const source::ClonePlan& plan);
// The beginning of the error text for a script that exited with that code.
std::string clone_error_prefix(const source::ClonePlan& plan, int exit_code);

// Every file of a repository on this host, to be put at kRepositoryPlace.
base::Result<std::vector<backend::InputFile>> repository_files(const source::RepositoryBind& bind);

base::Result<JobProgram> plan_program(const source::RepositoryView& view,
                                      const source::HostChecks& host);

std::vector<std::string> build_script(const source::BuildPlan& plan);

// The phase's own command behind the links that it needs; empty: nothing to do in this phase.
std::vector<std::string> phase_argv(source::Phase phase, const source::PhasePlan& plan,
                                    const source::BuildPlan& build);

// [a-z0-9_]{1,96}: nobody else's cache can have that name.
std::string layer_name(const std::string& tenant, const std::string& build_digest);

}  // namespace airlock::runner
