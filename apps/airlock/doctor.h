// `airlock doctor`: will runs work on this host, as this user, and what is the fix if not?
//
// Exit code 0: runs work at the full tier (warnings allowed); 1: they do not. Leaves nothing
// behind.
#pragma once

#include <string>
#include <vector>

namespace airlock::apps {

int doctor_verb(const std::vector<std::string>& words);

}  // namespace airlock::apps
