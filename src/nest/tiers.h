// The tiers of hosts that are containers themselves: which one this is, and how it is made.
//
// Chosen by trying, once, when airlock-nest starts: it is executed only where the full tier was
// refused (jail/hand_down.h).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "jail/launcher_host.h"
#include "jail/lower_tier.h"

namespace airlock::nest {

// What the kernel, or whatever confines us, lets us make.
jail::Tier find_tier(bool allow_process);

// Our own run directory, apart from that of the full tier, which must not recall a view from it.
std::string lower_run_directory(const jail::LauncherOptions& options);

// The places of slots are made below `host`'s skeleton (nested) or beside its run directory. The
// toolchain is copied now. The descriptors of `host` must outlive the tier.
base::Result<std::unique_ptr<jail::LowerTier>> make_tier(jail::Tier tier,
                                                         const jail::LauncherHost& host);

// Paths of the sandbox, as the words of a request have them, below the place of the slot.
std::string move_path(std::string_view word, const std::string& place);

}  // namespace airlock::nest
