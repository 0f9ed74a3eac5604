// What a person can do when a sandbox or a program could not be started.
#pragma once

#include <string>

#include "jail/stage.h"

namespace airlock::backend::native {

// One or two sentences; empty where nothing useful is known.
std::string setup_hint(jail::Stage stage, int os_errno, bool rootless);

}  // namespace airlock::backend::native
