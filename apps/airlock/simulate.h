// `airlock simulate`: replays a trace of jobs, or a random mix, through the queue's policies.
//
// Touches nothing of the host but the files that it is told to read and write. Exit code 0 when
// the simulation ran, 2 when the command line or the trace is wrong, with the line and the column.
#pragma once

#include <string>
#include <vector>

namespace airlock::apps {

int simulate_verb(const std::vector<std::string>& words);

}  // namespace airlock::apps
