// Names of git that a caller chose: a branch, a commit, a folder of the repository.
//
// What passes is safe as a word of a command line behind "--" or behind "refs/heads/": it begins
// with no "-", holds no control character, and cannot mean anything else to git. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace airlock::source {

inline constexpr std::size_t kCommitHexMin = 7;
inline constexpr std::size_t kCommitHexMax = 64;
inline constexpr std::size_t kRepoPathBytesMax = 1'024;

// As `git check-ref-format --branch`, and UTF-8.
base::Status check_branch(std::string_view branch);

// 7 to 64 hexadecimal digits, in lower case.
base::Result<std::string> parse_commit(std::string_view commit);

// "a/b" for "a/b/": relative, no "." or "..", no ".git". Empty is the root.
base::Result<std::string> parse_repo_path(std::string_view path);

// Of what `git rev-parse` printed: the full name of the commit, 40 or 64 digits. `asked` is what
// the caller wanted, or empty; another commit than that is an error.
base::Result<std::string> parse_resolved_commit(std::string_view printed, std::string_view asked);

}  // namespace airlock::source
