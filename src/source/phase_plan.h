// PhasePlan: what prep and inference execute, where, and with which environment. A pure value.
//
// The default contract is `python3 inference.py --phase prep|inference --input /input --output
// /output` in /workspace; an airlock.yaml says something else. The environment is that of the
// contract; a job's own variables come after and win, except for names that the sandbox relies on,
// which check_custom_env refuses when the job is submitted.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/job.h"
#include "source/build_plan.h"
#include "source/job_file.h"

namespace airlock::source {

enum class Phase { kPrep, kInference };
std::string_view phase_name(Phase phase);  // "prep", "inference"

struct PhasePlan {
  Command argv;  // empty: this phase has nothing to do
  std::string cwd;
  std::vector<std::string> env;  // beyond the sandbox's base; sorted, each name once
};

PhasePlan make_phase_plan(Phase phase, const model::JobRecord& record, const BuildPlan& build,
                          const std::optional<JobFile>& job_file);

// Names are [A-Za-z_][A-Za-z0-9_]*; values hold no NUL; proxies and AIRLOCK_* are not the job's.
base::Status check_custom_env(const std::map<std::string, std::string>& env);

// Where the program is: /workspace, or the folder of it that repo_path names.
std::string program_folder(const model::JobSpec& spec);

}  // namespace airlock::source
