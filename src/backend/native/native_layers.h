// The caller's side of layers: what is said to a keeper, and what it answers.
//
// Each call blocks until the answer is there, or the keeper is gone (kUnavailable). Owns nothing:
// the channel is that of a workspace, which nobody else uses meanwhile.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"

namespace airlock::backend::native {

base::Result<KeptLayer> keep_layer(int channel, const std::string& name);

base::Result<std::vector<LayerInfo>> list_layers(int channel);
base::Result<bool> has_layer(int channel, const std::string& name);
base::Status remove_layer(int channel, const std::string& name);

}  // namespace airlock::backend::native
