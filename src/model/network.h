// What a sandbox has of a network, and what became of what it asked for.
//
// Pure values. Every sandbox has loopback and nothing else; with a gateway a port of that loopback
// leads to a proxy outside, which lets through what a policy allows (egress/).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace airlock::model {

enum class NetworkMode {
  kNone,
  kGateway,  // an allow-listing proxy at kGatewayPort of the loopback interface
};

constexpr std::string_view network_mode_name(NetworkMode mode) {
  return mode == NetworkMode::kGateway ? "gateway" : "none";
}

// Where a guest finds the gateway, on 127.0.0.1. Below the ports that the kernel gives to sockets
// without one.
inline constexpr std::uint16_t kGatewayPort = 3'128;

// What one phase did through the egress gateway, per destination and verdict.
struct EgressEntry {
  std::string phase;
  std::string host;
  std::uint16_t port = 0;
  bool allowed = false;
  std::string reason;  // of a refusal: "not in the allow-list", "private address", ...
  std::uint64_t connections = 0;
  std::uint64_t bytes_out = 0;  // from the sandbox
  std::uint64_t bytes_in = 0;

  bool operator==(const EgressEntry&) const = default;
};

}  // namespace airlock::model
