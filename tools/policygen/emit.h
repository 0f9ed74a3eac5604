// Writes what was compiled as C++ source: the definitions that sys/seccomp_profiles.h,
// jail/host_view.h and egress/presets.h declare.
//
// Everything emitted is constant data plus trivial accessors, and depends on the input only: the
// same policies give the same bytes on every machine of one architecture.
#pragma once

#include <span>
#include <string>

#include "egress_presets_policy.h"
#include "host_view_policy.h"
#include "profile.h"

namespace airlock::policygen {

std::string emit_seccomp(std::span<const Profile> profiles, const Architecture& architecture);
std::string emit_host_view(const HostView& view);
std::string emit_egress_presets(std::span<const EgressPreset> presets);

// A C++ string literal, quotes included.
std::string quote(std::string_view text);

}  // namespace airlock::policygen
