// Programs of the host that the broker runs: runsc.
//
// With an environment of ours and no descriptor but their streams; they end with whoever started
// them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace airlock::container {

struct RunningProgram {
  base::UniqueFd in;
  base::UniqueFd out;
  base::UniqueFd said;  // a file with what it wrote to stderr
};

// words[0] is looked up in PATH. It enters the cgroup of `entrances` before it is executed.
base::Result<RunningProgram> start_program(const std::vector<std::string>& words,
                                           std::span<const base::UniqueFd> entrances);

}  // namespace airlock::container
