// The name that somebody most likely meant: "pyhton" is close to "python".
//
// Pure functions for error messages. Bounded: a name of more than 64 bytes is close to nothing.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace airlock::language {

// The candidate that the fewest edits (insert, delete, replace, swap of neighbours) turn `name`
// into, if they are at most two, and fewer than half of the name's length. The first one wins a
// tie.
std::optional<std::string> find_nearest_name(std::string_view name,
                                             std::span<const std::string> candidates);

// "; did you mean \"python\"?", or nothing.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

}  // namespace airlock::language
