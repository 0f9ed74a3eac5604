// `airlock verify`: whether a receipt can be believed, and what it says.
//
// Works offline, on files only. Exit code 0 if every check holds, 1 if one does not, 2 if the
// command line is wrong or a file cannot be read (docs/cli.md).
#pragma once

#include <string>
#include <vector>

namespace airlock::apps {

int verify_verb(const std::vector<std::string>& words);

}  // namespace airlock::apps
