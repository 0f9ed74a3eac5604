#include "model/isolation.h"

#include <array>

namespace airlock::model {

std::string_view isolation_level_name(IsolationLevel level) {
  switch (level) {
    case IsolationLevel::kProcess: return "process";
    case IsolationLevel::kContainer: return "container";
    case IsolationLevel::kKernel: return "kernel";
  }
  return "unknown";
}

std::optional<IsolationLevel> find_isolation_level(std::string_view name) {
  constexpr std::array kLevels = {IsolationLevel::kProcess, IsolationLevel::kContainer,
                                  IsolationLevel::kKernel};
  for (const IsolationLevel level : kLevels) {
    if (isolation_level_name(level) == name) return level;
  }
  return std::nullopt;
}

std::string_view cgroup_version_name(CgroupVersion version) {
  switch (version) {
    case CgroupVersion::kNone: return "none";
    case CgroupVersion::kV1: return "v1";
    case CgroupVersion::kV2: return "v2";
    case CgroupVersion::kHybrid: return "hybrid";
  }
  return "unknown";
}

}  // namespace airlock::model
