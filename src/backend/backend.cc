#include "backend/backend.h"

namespace airlock::backend {
namespace {

std::unexpected<base::Error> lacks(const char* what) {
  return base::fail(base::ErrorCode::kUnavailable, std::string(what) + " are not to be had here",
                    "the native backend has them");
}

}  // namespace

base::Result<KeptLayer> Workspace::keep_layer(std::string /*name*/) { return lacks("layers"); }

base::Result<std::vector<LayerInfo>> Backend::list_layers() { return lacks("layers"); }

base::Result<bool> Backend::has_layer(std::string /*name*/) { return lacks("layers"); }

base::Status Backend::remove_layer(std::string /*name*/) { return lacks("layers"); }

const DeviceInfo* Backend::find_device(std::string_view /*name*/) const { return nullptr; }

}  // namespace airlock::backend
