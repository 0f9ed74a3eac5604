// Giving up root: after this the process holds no capability and can never get one back.
//
// The uid stays (files that belong to root can still be written), the power over everything else
// goes: other users' files, mounts, devices, other processes. Call it after the launcher was
// started, which keeps what it needs, and after everything the user named was opened.
#pragma once

#include "base/result.h"

namespace airlock::apps {

base::Status drop_capabilities();

}  // namespace airlock::apps
