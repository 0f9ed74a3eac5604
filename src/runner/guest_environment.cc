#include "runner/guest_environment.h"

#include <map>
#include <string_view>

#include "model/limits.h"

namespace airlock::runner {
namespace {

inline constexpr std::string_view kBase[] = {
    "HOME=/workspace", "LANG=C.UTF-8", "LOGNAME=sandbox", "PATH=/usr/local/bin:/usr/bin:/bin",
    "TMPDIR=/tmp",     "USER=sandbox",
};

}  // namespace

base::Result<std::vector<std::string>> make_guest_environment(
    const std::vector<std::vector<std::string>>& layers) {
  std::map<std::string_view, std::string_view> entries;
  const auto add = [&entries](std::string_view entry) {
    entries[entry.substr(0, entry.find('='))] = entry;
  };
  for (const std::string_view entry : kBase) add(entry);
  for (const auto& layer : layers) {
    for (const std::string& entry : layer) add(entry);
  }
  if (entries.size() > model::kArgumentsMax) {
    return base::fail(
        base::ErrorCode::kLimitExceeded,
        "more than " + std::to_string(model::kArgumentsMax) + " environment variables");
  }
  std::vector<std::string> environment;
  environment.reserve(entries.size());
  for (const auto& [name, entry] : entries) environment.emplace_back(entry);
  return environment;
}

}  // namespace airlock::runner
