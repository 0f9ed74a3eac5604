// Giving up root: after this the process holds no capability and can never get one back.
//
// The uid stays (files that belong to root can still be written), the power over everything else
// goes: other users' files, mounts, devices, other processes. Call it after the launcher was
// started, which keeps what it needs, and after everything the user named was opened.
#pragma once

#include "base/result.h"

namespace airlock::apps {

base::Status drop_capabilities();

// Nobody of our own user may read our memory and environment any more: where a guest has no
// namespaces it shares that user.
void hide_from_own_user();

}  // namespace airlock::apps
