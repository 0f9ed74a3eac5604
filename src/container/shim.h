// The shim: a process between keeper and container, in the place of init.
//
// It learns from the keeper what the sandbox is to be, has it made, and is a tunnel from then on
// (link/tunnel.h). The keeper ends it by SIGKILL; the container ends when its stdin does.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "container/runtime.h"
#include "sys/raw_clone.h"

namespace airlock::container {

struct ShimPlan {
  std::uint32_t slot = 0;
  int channel_fd = -1;  // to the keeper
  std::string scratch_directory;
  std::chrono::milliseconds start_timeout{kStartTimeout};
  std::function<std::unique_ptr<Runtime>()> make_runtime;  // called in the shim
};

// Forks it. As LowerTier::start_init.
sys::RawChild start_shim(const ShimPlan& plan);

}  // namespace airlock::container
