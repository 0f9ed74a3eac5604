// policies/egress-presets.yaml as values; egress/presets.h says what the table means.
//
// load_egress_presets() refuses hosts that are no names, hosts listed twice in one preset, empty
// presets, and any entry without a reason.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace airlock::policygen {

struct EgressPreset {
  std::string name;
  std::vector<std::string> hosts;
};

base::Result<std::vector<EgressPreset>> load_egress_presets(const std::string& path);

}  // namespace airlock::policygen
