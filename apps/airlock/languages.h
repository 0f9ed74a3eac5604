// `airlock languages`: what this host can run, with versions, and what to install for the rest.
//
// Exit code 0 whenever the list could be made, also if languages are missing; 2 if the languages
// file is wrong. Runs the version commands of the host's own tools, outside any sandbox.
#pragma once

#include <string>
#include <vector>

namespace airlock::apps {

int languages_verb(const std::vector<std::string>& words);

}  // namespace airlock::apps
