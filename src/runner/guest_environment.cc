#include "runner/guest_environment.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "model/limits.h"
#include "model/network.h"

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

std::vector<std::string> gateway_environment() {
  const std::string proxy = "http://127.0.0.1:" + std::to_string(model::kGatewayPort);
  // Programs that look at one spelling only look at different ones. Not socks5h://, which many take
  // from ALL_PROXY and cannot speak; who can finds SOCKS5 at the same port.
  std::vector<std::string> entries;
  for (const char* name : {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY",
                           "all_proxy", "npm_config_proxy", "npm_config_https_proxy"}) {
    entries.push_back(std::string(name) + "=" + proxy);
  }
  for (const char* name : {"NO_PROXY", "no_proxy", "npm_config_noproxy"}) {
    entries.push_back(std::string(name) + "=localhost,127.0.0.1,::1");
  }
  entries.emplace_back("NODE_USE_ENV_PROXY=1");  // fetch() of Node looks at them only then
  return entries;
}

void add_missing_variables(std::vector<std::string>& environment,
                           const std::vector<std::string>& entries) {
  for (const std::string& entry : entries) {
    const std::string name = entry.substr(0, entry.find('=') + 1);
    const auto has_name = [&](const std::string& other) { return other.starts_with(name); };
    if (std::ranges::none_of(environment, has_name)) environment.push_back(entry);
  }
  std::ranges::sort(environment);
}

}  // namespace airlock::runner
