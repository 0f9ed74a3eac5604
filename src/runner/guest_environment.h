// The environment of a guest: a fixed base, and what the language and the user add to it.
//
// Nothing of the caller's own environment is ever in it. Does not check the form of entries:
// whoever takes them from a user has done that.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace airlock::runner {

// Later layers win over earlier ones and over the base (PATH, HOME, USER, LOGNAME, LANG, TMPDIR).
// Entries are "NAME=value". Sorted by name, each name once.
base::Result<std::vector<std::string>> make_guest_environment(
    const std::vector<std::vector<std::string>>& layers);

// What leads programs to the egress gateway, each in the way it knows.
std::vector<std::string> gateway_environment();

// Those of `entries` whose names are not in `environment` yet, which stays sorted.
void add_missing_variables(std::vector<std::string>& environment,
                           const std::vector<std::string>& entries);

}  // namespace airlock::runner
