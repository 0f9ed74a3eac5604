// ParsedRun: a request to run something, read and checked, with the files that it brought.
//
// Owns the contents of stdin and of every file as memfds, so that nothing of the request's text is
// needed any more. The functions here are what the routes that make one have in common; their
// errors are the host's (no descriptors left), except where they say so.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "language/run_plan.h"
#include "runner/run.h"

namespace airlock::http {

struct ParsedRun {
  runner::RunRequest request;    // its stdin_fd borrows from stdin_content
  base::UniqueFd stdin_content;  // invalid: no stdin was given, the program's is empty
};

// A memfd with these bytes, its offset at 0. `name` is for /proc only.
base::Result<base::UniqueFd> make_content(const char* name, std::string_view bytes);

base::Status set_stdin(ParsedRun& run, std::string_view bytes);

// The phases of the plan, and the program's text where they look for it. The environment is not
// set, because more than the plan has a say in it.
base::Status set_program(ParsedRun& run, language::RunPlan& plan, std::string_view code);

// Fills in the environment, later layers winning. kInvalidArgument if it and the arguments of a
// phase are together more than model::kArgumentBytesMax.
base::Status set_environment(ParsedRun& run, const std::vector<std::vector<std::string>>& layers);

}  // namespace airlock::http
