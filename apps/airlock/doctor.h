// `airlock doctor`: will runs work on this host, as this user, and what is the fix if not?
//
// Exit code 0: runs work at the full tier (warnings allowed); 1: they do not. Leaves nothing
// behind.
#pragma once

#include <CLI/CLI.hpp>

namespace airlock::apps {

// Adds the verb; when it is chosen, its callback prints the report and sets `exit_code`, which must
// live as long as `app`.
void add_doctor_verb(CLI::App& app, int& exit_code);

}  // namespace airlock::apps
