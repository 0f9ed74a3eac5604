// ContainerTier: what the tiers of all runtimes have in common.
//
// A shim stands for init, and what limits memory is a cgroup or the runtime. Knows no runtime.
#pragma once

#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "container/runtime.h"
#include "container/shim.h"
#include "jail/lower_tier.h"
#include "jail/slot_pool.h"

namespace airlock::container {

// "s12" and "s12.0" are of slot 12, as folders and cgroups are called.
inline std::optional<std::uint32_t> slot_of_name(std::string_view name) {
  std::uint32_t slot = 0;
  if (!name.starts_with('s')) return std::nullopt;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), slot);
  const bool whole = end == name.data() + name.size() || *end == '.';
  return error == std::errc() && whole ? std::optional(slot) : std::nullopt;
}

class ContainerTier : public jail::LowerTier {
 public:
  // Removes what owners of slots left who are gone: one that was killed, or one whose runtime did
  // not answer. Takes what the runtime takes, within bounds.
  virtual void sweep(const jail::SlotPool& slots) const = 0;

  bool is_container() const final { return true; }
  sys::RawChild start_init(std::uint32_t slot, int channel_fd) const final {
    return start_shim({.slot = slot,
                       .channel_fd = channel_fd,
                       .scratch_directory = common().scratch_directory,
                       .start_timeout = common().start_timeout,
                       .make_runtime = [this] { return make_runtime(); }});
  }
  jail::StageFailure describe(std::uint32_t /*slot*/, jail::ViewSetup* view,
                              std::string* /*words*/) const final {
    view->skeleton = "/";
    return {};
  }
  std::uint64_t memory_bytes(pid_t /*init*/) const final { return 0; }

 private:
  virtual const CommonOptions& common() const = 0;
  // In the shim.
  virtual std::unique_ptr<Runtime> make_runtime() const = 0;
};

}  // namespace airlock::container
