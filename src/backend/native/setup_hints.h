// What a person can do when a sandbox or a program could not be started.
//
// Maps the stage and errno that the launcher reports to words. Pure; knows nothing of this host
// beyond its arguments. An unknown pair gives the general advice to run airlock doctor, or nothing.
#pragma once

#include <string>

#include "jail/stage.h"

namespace airlock::backend::native {

// One or two sentences; empty where nothing useful is known.
std::string setup_hint(jail::Stage stage, int os_errno, bool rootless);

}  // namespace airlock::backend::native
