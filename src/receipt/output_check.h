// Whether a folder holds exactly the outputs that a receipt lists.
//
// Reads without following a link and only regular files. What the manifest does not list is a
// problem, too, except for the manifest itself and for what the caller names. Nothing is changed.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "receipt/verify.h"

namespace airlock::receipt {

inline constexpr std::size_t kOutputProblemsMax = 100;

struct OutputProblem {
  std::string path;
  std::string reason;  // "missing", "other content", "not in the receipt", ...
};

struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

// At most kOutputProblemsMax; empty: all is as the receipt says. `ignored` are files that may lie
// in the folder, such as the receipt itself.
base::Result<std::vector<OutputProblem>> check_outputs(const Receipt& receipt,
                                                       const std::string& folder,
                                                       const std::vector<FileIdentity>& ignored);

}  // namespace airlock::receipt
