// Programs of the host that the broker runs: runsc, to its end or as a container.
//
// With an environment of ours and no descriptor but its streams. A program that does not end in its
// time is killed.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace airlock::container {

inline constexpr std::size_t kProgramOutputMax = 16 * 1024;

struct ProgramEnd {
  int status = -1;  // exit status; 128 and the signal; -1: it did not end in time, and was killed
  std::string output;  // stdout and stderr, at most kProgramOutputMax
  // One line for a person.
  std::string text() const;
};

// words[0] is looked up in PATH. An error: it cannot be started.
base::Result<ProgramEnd> run_program(const std::vector<std::string>& words,
                                     std::chrono::milliseconds timeout);

struct RunningProgram {
  int pid = -1;
  base::UniqueFd in;
  base::UniqueFd out;
  base::UniqueFd said;  // a file with what it wrote to stderr
};

// It enters the cgroup of `entrances` before it is executed.
base::Result<RunningProgram> start_program(const std::vector<std::string>& words,
                                           std::span<const base::UniqueFd> entrances);

}  // namespace airlock::container
