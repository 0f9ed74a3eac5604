// `airlock languages`: what this host can run, with versions, and what to install for the rest.
//
// Exit code 0 whenever the list could be made, also if languages are missing; 2 if the languages
// file is wrong. Runs the version commands of the host's own tools, outside any sandbox.
#pragma once

#include <CLI/CLI.hpp>

namespace airlock::apps {

// Adds the verb; when it is chosen, its callback prints the list and sets `exit_code`, which must
// live as long as `app`.
void add_languages_verb(CLI::App& app, int& exit_code);

}  // namespace airlock::apps
