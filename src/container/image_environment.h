// What programs see of an image's own environment.
//
// Whoever chooses an image wants its tools to be found, and what is put before them on purpose (a
// job's own build) to stay before them. Knows no runtime.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "jail/wire_fields.h"

namespace airlock::container {

// `given`, which is a program's, with the variables of `image` that it does not have itself. In
// PATH the image's folders come before the usual ones, after what the caller has put before those.
// What is no variable is left out.
std::vector<std::string> merge_environment(std::span<const std::string> image,
                                           const jail::StringList& given);

}  // namespace airlock::container
