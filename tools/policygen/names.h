// The nearest valid name to a mistyped one, for error messages of the policy files.
//
// Distances are counted in letters; the lists are short, so nothing here is fast. Suggests nothing
// rather than something far-fetched.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace airlock::policygen {

// ", did you mean 'x'?" when one of `valid` is within a third of the name's letters; else "".
std::string suggest_name(std::string_view name, std::span<const std::string_view> valid);

}  // namespace airlock::policygen
