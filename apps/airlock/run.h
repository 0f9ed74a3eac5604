// `airlock run`: one program, one sandbox, one verdict; needs no server and no configuration.
//
// The launcher is started before the command line is looked at, so that it gets ready on another
// core meanwhile. As root all capabilities are given up before anything of a guest is read.
#pragma once

#include <string>
#include <vector>

namespace airlock::apps {

// `words` are those after "run". Returns the exit code (exit_codes.h).
int run_verb(const std::vector<std::string>& words);

}  // namespace airlock::apps
