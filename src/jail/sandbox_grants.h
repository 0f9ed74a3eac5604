// What one sandbox is given besides its workspace, as mounts that init only has to put in place.
//
// A caller names things; what they are is the launcher's (grants.h, layer_store.h). As root the
// mounts are made here, with their attributes and without any tie to the host's, so that init need
// not find a path that its uid may not reach; else init makes them, in its own namespace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "jail/launcher_host.h"
#include "jail/stage.h"
#include "jail/wire.h"

namespace airlock::jail {

struct GivenMount {
  Stage stage{};
  base::UniqueFd mount;  // invalid: init makes it of `source`
  std::string source;
  std::string target;  // relative to the root of the sandbox
  std::uint64_t attributes = 0;
};

struct GivenMounts {
  std::vector<GivenMount> mounts;
  std::vector<std::string> devices;  // by name, where they are a runtime's to give
  std::string image;                 // of a runtime; empty: its default
  base::UniqueFd layer_lock;         // the layer stays for as long as it is open
  bool workspace_read_only = false;

  bool has_layer() const { return layer_lock.valid(); }
};

inline bool is_given_something(const CreateSandbox& request) {
  return !request.layer.empty() || request.folders.count() > 0 || request.devices.count() > 0 ||
         request.workspace_read_only || !request.image.empty();
}

// The stage of a failure is that of the thing: kLayer, kFolder, kDevice, kImage.
StageFailure open_given_mounts(const LauncherHost& host, const CreateSandbox& request,
                               GivenMounts* given);

// To init, after its kViewSetup. 0 or an errno.
int send_given_mounts(int channel_fd, GivenMounts* given);

}  // namespace airlock::jail
