// Profiles in the format of Docker and Podman: the wall around a whole container.
//
// What any of the profiles lets pass, for a program of whichever profile, airlock-init and
// airlock-link. The format has no "otherwise" for a call with cases, so the wall is never narrower
// than a profile and in places wider; what a program may do exactly is said by the filter that init
// gives it inside. Format: https://github.com/moby/moby/blob/master/profiles/seccomp.
#pragma once

#include <span>
#include <string>

#include "profile.h"

namespace airlock::policygen {

// JSON, of one line.
std::string write_docker_profile(std::span<const Profile> profiles,
                                 const Architecture& architecture);

}  // namespace airlock::policygen
