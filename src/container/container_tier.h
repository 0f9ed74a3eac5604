// ContainerTier: what the tiers of all runtimes have in common. A shim stands for init, and what
// limits memory is a cgroup or the runtime.
#pragma once

#include <memory>
#include <string>

#include "container/runtime.h"
#include "container/shim.h"
#include "jail/lower_tier.h"

namespace airlock::container {

class ContainerTier : public jail::LowerTier {
 public:
  bool is_container() const final { return true; }
  sys::RawChild start_init(std::uint32_t slot, int channel_fd) const final {
    return start_shim({.slot = slot,
                       .channel_fd = channel_fd,
                       .scratch_directory = scratch_directory(),
                       .make_runtime = [this] { return make_runtime(); }});
  }
  jail::StageFailure describe(std::uint32_t /*slot*/, jail::ViewSetup* view,
                              std::string* /*words*/) const final {
    view->skeleton = "/";
    return {};
  }
  std::uint64_t memory_bytes(pid_t /*init*/) const final { return 0; }

 private:
  virtual const std::string& scratch_directory() const = 0;
  // In the shim.
  virtual std::unique_ptr<Runtime> make_runtime() const = 0;
};

}  // namespace airlock::container
