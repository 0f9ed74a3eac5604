// Trials: finding out what the kernel allows by doing it, in a child that is thrown away.
//
// Everything that a trial changes lives in the child's own namespaces or in its own credentials and
// ends with it; cgroups and nothing else are removed by hand, before the call returns. Each trial
// has a deadline, after which the child is killed and the attempt fails with ETIMEDOUT. The caller
// must be single-threaded, for the child allocates nothing but shares what locks were held.
#pragma once

#include "host/host_probe.h"

namespace airlock::host {

Attempt attempt_trial(Trial trial);
CgroupAttempt attempt_cgroup_trial(const CgroupTrial& trial);

}  // namespace airlock::host
