// Durable: what the keeper of a workspace with a name has beyond others.
//
// It listens under that name, keeps the report of each process that has a tag until it is told to
// forget it, and ends when it is told to (kEndWorkspace), or when for kOrphanMax nobody has been
// its caller and nothing has run. The members of Keeper that work on it are in durable.cc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "jail/durable_folder.h"
#include "jail/wire_durable.h"

namespace airlock::jail {

inline constexpr std::uint64_t kOrphanMaxNs = 3'600'000'000'000;
inline constexpr std::size_t kTagsMax = 32;  // in one workspace, of processes that run or ran

struct Durable {
  struct Ended {
    std::string tag;
    std::string seccomp_profile;
    Report report;
  };

  const DurableFolder* folder = nullptr;
  std::string name;
  base::UniqueFd listener;
  std::vector<Ended> ended;
  std::uint64_t alone_since_ns = 0;  // 0: somebody calls, or something runs
};

}  // namespace airlock::jail
