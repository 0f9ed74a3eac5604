// A copy of /usr and its like, for roots into which nothing can be mounted.
//
// Made once in the folder of the skeleton, without what no program needs to run (documentation,
// translations). Every root then has its files as further hard links, so that they exist once: they
// are mode 0444 or 0555, and whoever uses them may not change modes. What not every user may read
// stays out, set-user-ID bits go.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace airlock::nest {

// Copies `trees` ("/usr") below the folder `target`, which must not exist; any number of callers at
// once, of which one does it. Nothing to do if it is there.
base::Status copy_toolchain(const std::vector<std::string>& trees, const std::string& target);

// The same tree once more at `root`, as links to the files of `copy`; folders that exist are used.
base::Status link_tree(const std::string& copy, const std::string& root);

// Takes the write permission from every folder at and below `root`; not through links.
base::Status seal_folders(const std::string& root);

}  // namespace airlock::nest
