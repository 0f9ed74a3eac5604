#include "model/image_list.h"

#include <algorithm>

namespace airlock::model {
namespace {

constexpr std::string_view kScheme = "docker:";
constexpr std::size_t kShownBytesMax = 100;

// Whoever asks may have written anything.
std::string shown(std::string_view text) {
  const bool plain = text.size() <= kShownBytesMax &&
                     std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
  return plain ? "\"" + std::string(text) + "\"" : "that";
}

}  // namespace

base::Result<std::string> ImageList::find(std::string_view text) const {
  // As it is first: there is an image that is called docker.
  for (const std::string_view name :
       {text, text.starts_with(kScheme) ? text.substr(kScheme.size()) : text}) {
    if (std::ranges::find(names_, name) != names_.end()) return std::string(name);
  }
  std::string list;
  for (const std::string& name : names_) list += (list.empty() ? "" : ", ") + name;
  return base::fail(
      base::ErrorCode::kInvalidArgument,
      shown(text) + " is no image of this server" +
          (list.empty() ? ", which has none" : ": it has " + list),
      "the operator names images in execution.images, with execution.mode docker or docker+gvisor");
}

}  // namespace airlock::model
