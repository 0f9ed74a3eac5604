// What init does in another way where the host cannot give the full tier (jail/tier.h).
//
// Nested: user, pid, network, ipc and uts namespaces and a chroot into the place of the slot, whose
// files belong to our own uid; so that modes hold, a guest may not change them. Process: nothing of
// this; a guest is kept from networks and from other processes by a second filter. Container: all
// of it is there already, made by a container runtime, but init and the guest have the same user.
#pragma once

#include "apps/init/init.h"
#include "jail/tier.h"
#include "sys/landlock.h"

namespace airlock::init {

// What we were started as: by our first argument.
enum class Mode : std::uint8_t { kFull, kNested, kProcess, kContainer };
Mode mode();
// We were born in the network namespace of the sandbox.
bool has_network();
// The first of all. For kNested the rest of us is pid 1 in new namespaces; who started us waits
// for it.
void begin_mode(const long* stack);

// The ids of guests, and of the files that they may write.
std::uint32_t guest_uid();
std::uint32_t guest_gid();

// As begin_setup() and finish_setup().
void begin_lower_setup(SetupState* state);
void finish_lower_setup(SetupState* state);

// For the trees of kProcess, which has no root of its own, and of kContainer, whose may be any.
int make_lower_ruleset(int abi, sys::LandlockOutcome* outcome);
// In the file system whose room is the workspace's.
int space_fd();

// The filter before the profile's. 0 or an errno.
int install_lower_filter(int landlock_abi);

// Signals all processes of the sandbox but us.
void signal_everyone(int number);
// Kills and reaps them.
std::uint32_t end_everyone();

}  // namespace airlock::init
