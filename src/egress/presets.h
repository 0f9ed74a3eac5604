// Names that stand for the hosts of one vendor: policies/egress-presets.yaml, compiled in.
//
// The yaml holds a reason for every host. Hosts are as parse_rule() reads them. Static lifetime.
#pragma once

#include <span>
#include <string_view>

namespace airlock::egress {

struct Preset {
  std::string_view name;
  std::span<const std::string_view> hosts;
};

std::span<const Preset> presets();

}  // namespace airlock::egress
