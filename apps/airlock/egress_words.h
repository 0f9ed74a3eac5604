// What became of one destination, in the words of every verb that tells of it.
//
// Pure functions. The texts are a guest's: whoever shows them escapes them.
#pragma once

#include <string>
#include <string_view>

#include "model/network.h"

namespace airlock::apps {

// "example.com:443", "[::1]:80"
std::string egress_destination(const model::EgressEntry& entry);

inline constexpr std::string_view kReached = "reached";
// kReached; "failed": it was allowed, and the reason says why nothing came of it; "refused".
std::string_view egress_verdict(const model::EgressEntry& entry);

// "example.com:443, 2 connections, 139 B out, 186 B in", or of what was not reached
// "example.com:443, 2 times: the name does not exist". Without the phase.
std::string describe_egress(const model::EgressEntry& entry);

}  // namespace airlock::apps
