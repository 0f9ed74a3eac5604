// What an operator says about repositories over ssh: a known_hosts file, and a private key.
//
// Both are read when the service starts, so that a file that is missing or that others can read
// refuses the start and names its setting. The key may be in a file that only root reads: whoever
// starts the daemon passes it on.
#pragma once

#include <optional>

#include "base/result.h"
#include "config/values.h"
#include "source/clone_plan.h"

namespace airlock::apps {

// Nothing, if nothing was said.
base::Result<std::optional<source::SshKnobs>> read_ssh_settings(const config::Values& values);

// The key itself in place of its file, for a process that may not read that.
void pass_ssh_key_on(config::Values& values, const source::SshKnobs& ssh);

}  // namespace airlock::apps
