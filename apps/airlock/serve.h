// `airlock serve`: the run service over HTTP.
//
// Started by a person or a service manager it is the supervisor (supervisor.h); started by the
// supervisor it is the daemon (daemon.h).
#pragma once

#include <string>
#include <vector>

namespace airlock::apps {

int serve(const std::vector<std::string>& words);

}  // namespace airlock::apps
