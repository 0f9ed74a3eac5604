// Tier: how much of a sandbox this host can give.
//
// `full` is everything of docs/architecture.md. The others are for hosts that are containers
// themselves; airlock-nest makes them (src/nest), and each says in `missing` what it lacks; or they
// are containers of a runtime, made by airlock-broker (src/container). Numbers are part of the wire
// protocol.
#pragma once

#include <cstdint>
#include <string_view>

namespace airlock::jail {

enum class Tier : std::uint8_t {
  kFull = 0,
  kNestedGvisor,  // namespaces and chroot, no mounts: in gVisor
  kProcess,       // no namespaces at all
  kRefused,       // it would be kProcess, which the operator did not allow
  kGvisor,        // a container of runsc
  kDocker,        // a container of dockerd
  kDockerGvisor,  // a container of dockerd, made by runsc
};

// As the result object has it.
constexpr std::string_view tier_name(Tier tier) {
  switch (tier) {
    case Tier::kFull:
    case Tier::kGvisor:
    case Tier::kDocker:
    case Tier::kDockerGvisor: return "full";
    case Tier::kNestedGvisor: return "nested-gvisor";
    case Tier::kProcess:
    case Tier::kRefused: break;
  }
  return "process";
}

// The backend, as the result object has it.
constexpr std::string_view tier_backend(Tier tier) {
  switch (tier) {
    case Tier::kGvisor: return "gvisor";
    case Tier::kDocker: return "docker";
    case Tier::kDockerGvisor: return "docker+gvisor";
    default: return "direct";
  }
}

// Guests have a kernel of their own.
constexpr bool has_own_kernel(Tier tier) {
  return tier == Tier::kGvisor || tier == Tier::kDockerGvisor;
}

constexpr bool lacks_namespaces(Tier tier) {
  return tier == Tier::kProcess || tier == Tier::kRefused;
}

}  // namespace airlock::jail
