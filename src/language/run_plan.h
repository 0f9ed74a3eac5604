// RunPlan: a program, its language and the user's wishes become commands and limits.
//
// A pure function of its arguments: touches neither the host nor the program's text. Limits: the
// user's, else the language's, else the defaults. A compile phase is never given less than its
// language asks for, because the user's limits are about the program: they can only raise it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "language/language.h"
#include "language/toolchain_search.h"
#include "model/run_spec.h"

namespace airlock::language {

struct PlanRequest {
  std::string file_name;  // the last part of the program's path; "" if it came from a stream
  std::vector<std::string> args;
  model::LimitsGiven limits;
  model::Limits defaults = {};  // where neither the user nor the language says anything
};

struct RunPlan {
  std::string source_path;  // where the program's text goes: "workspace/main.c"
  std::optional<model::PhaseSpec> compile;
  model::PhaseSpec run;
  std::vector<std::string> env;  // what the language adds to the environment
};

// Where guests see the workspace.
inline constexpr std::string_view kWorkspace = "/workspace";

// The program keeps its name if that ends in an extension of the language, because Java wants it so
// and messages read better; otherwise it is called Language::file_name. Errors: a file name with
// '/' or control characters, arguments beyond model::kArgumentsMax, limits out of range.
base::Result<RunPlan> make_plan(const Language& language, const InstalledToolchain& installed,
                                const PlanRequest& request);

}  // namespace airlock::language
