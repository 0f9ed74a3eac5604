// ImageList: the images that an operator lets sandboxes have for their root.
//
// Exact references, "registry.example.com/tools:1" or with "@sha256:...": whoever asks names one of
// them, with or without "docker:" before it, and can name no other.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace airlock::model {

inline constexpr std::size_t kImagesMax = 64;

class ImageList {
 public:
  ImageList() = default;
  explicit ImageList(std::vector<std::string> names) : names_(std::move(names)) {}

  // The reference as it is in the list; else kInvalidArgument, which names those that are.
  base::Result<std::string> find(std::string_view text) const;

 private:
  std::vector<std::string> names_;
};

}  // namespace airlock::model
