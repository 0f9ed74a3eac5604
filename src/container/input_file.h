// Files of /input, written from outside: nothing a guest did can be below it.
//
// The folder belongs to root, and guests do not write to it; no link is followed all the same.
// Files have the mode 0644 or 0755.
#pragma once

#include <string>

#include "base/unique_fd.h"
#include "jail/wire.h"

namespace airlock::container {

// `request.path` is "input/..." and goes below `folder`. 0 or an errno.
int write_input(const std::string& folder, const jail::PutFile& request,
                const base::UniqueFd& content);

}  // namespace airlock::container
