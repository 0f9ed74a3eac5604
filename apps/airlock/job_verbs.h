// The verbs that ask a service about jobs, one file each: submit.cc, jobs.cc, status.cc, logs.cc,
// cancel.cc, outputs.cc.
//
// Each takes its words without its own name, prints, and gives an exit code (docs/cli.md).
#pragma once

#include <string>
#include <vector>

namespace airlock::apps {

int submit_verb(const std::vector<std::string>& words);
int jobs_verb(const std::vector<std::string>& words);
int status_verb(const std::vector<std::string>& words);
int logs_verb(const std::vector<std::string>& words);
int cancel_verb(const std::vector<std::string>& words);
int outputs_verb(const std::vector<std::string>& words);

}  // namespace airlock::apps
