#include "backend/mode.h"

#include <algorithm>
#include <array>

namespace airlock::backend {

std::span<const std::string_view> mode_names() {
  static constexpr std::array kNames = {kAuto, kDirect, kGvisor, kDocker, kDockerGvisor};
  return kNames;
}

model::IsolationLevel level_of_backend(std::string_view name) {
  return name == kGvisor || name == kDockerGvisor ? model::IsolationLevel::kKernel
                                                  : model::IsolationLevel::kContainer;
}

bool has_images(std::string_view name) { return name == kDocker || name == kDockerGvisor; }

// What stands in is as strong, if there is such a one, before it is weaker; of two that are equal
// the one that needs less of the host comes first.
std::vector<std::string> backend_chain(std::string_view mode, bool fallback,
                                       model::IsolationLevel least) {
  std::vector<std::string_view> wanted;
  if (mode == kDockerGvisor) {
    wanted = {kDockerGvisor, kGvisor, kDocker, kDirect};
  } else if (mode == kGvisor) {
    wanted = {kGvisor, kDockerGvisor, kDirect};
  } else if (mode == kDocker) {
    wanted = {kDocker, kDirect};
  } else {
    wanted = {kDirect};
  }
  if (level_of_backend(wanted.front()) < least) return {};
  if (!fallback) wanted.resize(1);
  std::vector<std::string> chain;
  for (const std::string_view name : wanted) {
    if (level_of_backend(name) >= least) chain.emplace_back(name);
  }
  return chain;
}

bool is_image_name(std::string_view text) {
  constexpr std::string_view kMarks = "._-/:@";
  const bool plain = std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
  return plain && !text.empty() && text.size() <= kImageNameMax && !text.starts_with('/') &&
         !text.starts_with('-') && text.find("..") == std::string_view::npos;
}

}  // namespace airlock::backend
