// What a repository must look like before anything of it is built or run.
//
// With an airlock.yaml: that file, and what it says. Without one, the contract of the evaluation
// hosts: inference.py and requirements.txt, within their sizes. Errors are the job's error text,
// "Validation failed: ...". Warnings refuse nothing. Reads a few files of a bounded size and
// executes nothing: whether inference.py compiles is asked of Python, in the sandbox, with
// `compile_check`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "source/job_file.h"
#include "source/repository_view.h"

namespace airlock::source {

inline constexpr base::ByteCount kProgramBytesMax = base::mebibytes(10);
inline constexpr base::ByteCount kRequirementsBytesMax = base::kibibytes(100);
inline constexpr base::ByteCount kDockerfileBytesMax = base::kibibytes(100);
inline constexpr std::size_t kRequirementsMax = 100;
inline constexpr std::string_view kValidationFailed = "Validation failed: ";

struct CheckedRepository {
  std::optional<JobFile> job_file;    // absent: the default contract
  std::vector<std::string> warnings;  // for the job's log
  // Run in the sandbox, without network, in the folder of the program: a nonzero exit is
  // "Validation failed: " and what it printed. Empty: nothing to ask.
  Command compile_check;
};

base::Result<CheckedRepository> check_repository(const RepositoryView& view,
                                                 const HostChecks& host = {});

// Lines that name a package: no comments, blanks or options.
std::vector<std::string> requirement_lines(std::string_view text);

}  // namespace airlock::source
