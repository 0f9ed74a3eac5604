// What `airlock run` reads of the host: the program, the files for it, the languages file.
//
// Everything is opened here, once, before privileges are dropped; what is opened is what runs.
// Blocks while a program is read from stdin. Errors are the user's to act on.
#pragma once

#include <string>
#include <vector>

#include "apps/airlock/run_options.h"
#include "backend/backend.h"
#include "base/result.h"
#include "model/run_spec.h"

namespace airlock::apps {

struct RunInputs {
  model::RunSpec spec;
  std::vector<backend::InputFile> files;
  bool stdin_is_used_up = false;  // the program itself came from there
};

base::Result<RunInputs> open_run_inputs(const RunOptions& options);

}  // namespace airlock::apps
