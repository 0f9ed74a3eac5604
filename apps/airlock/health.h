// `airlock health`: whether a service answers, for the health check of a container.
//
// Asks /health (with --ready /ready) of the given URL, or of where `airlock serve` would listen by
// its variables, and says so by its exit status. Needs neither a key nor curl.
#pragma once

#include <string>
#include <vector>

namespace airlock::apps {

int health_verb(const std::vector<std::string>& words);

}  // namespace airlock::apps
