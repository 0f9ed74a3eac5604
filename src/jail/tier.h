// Tier: how much of a sandbox this host can give.
//
// `full` is everything of docs/architecture.md. The others are for hosts that are containers
// themselves; airlock-nest makes them (src/nest), and each says in `missing` what it lacks. Numbers
// are part of the wire protocol.
#pragma once

#include <cstdint>
#include <string_view>

namespace airlock::jail {

enum class Tier : std::uint8_t {
  kFull = 0,
  kNestedGvisor,  // namespaces and chroot, no mounts: in gVisor
  kProcess,       // no namespaces at all
  kRefused,       // it would be kProcess, which the operator did not allow
};

// As the result object has it.
constexpr std::string_view tier_name(Tier tier) {
  switch (tier) {
    case Tier::kFull: return "full";
    case Tier::kNestedGvisor: return "nested-gvisor";
    case Tier::kProcess:
    case Tier::kRefused: break;
  }
  return "process";
}

constexpr bool lacks_namespaces(Tier tier) {
  return tier == Tier::kProcess || tier == Tier::kRefused;
}

}  // namespace airlock::jail
