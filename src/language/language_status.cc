#include "language/language_status.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace airlock::language {
namespace {

constexpr std::size_t kWorkersMax =
    4;  // version commands are short; more would only fight for CPUs

void describe_gap(const ToolchainGap& gap, LanguageStatus& status) {
  status.presence = Presence::kMissing;
  status.note = gap.note;
  for (const MissingTool& missing : gap.missing) {
    const std::string& package = missing.tool.package;
    if (std::ranges::find(status.packages, package) == status.packages.end()) {
      status.packages.push_back(package);
    }
    if (status.note.empty()) status.note = missing.note;
  }
}

LanguageStatus examine(const Language& language, const ToolSearchOptions& options) {
  LanguageStatus status;
  status.name = language.name;
  status.aliases = language.aliases;
  status.extensions = language.extensions;
  status.toolchain = language.toolchains.front().name;
  status.compiled = language.toolchains.front().compile.has_value();
  auto found = find_toolchain(language, options);
  if (!found) {
    describe_gap(found.error(), status);
    return status;
  }
  status.toolchain = found->toolchain->name;
  status.compiled = found->toolchain->compile.has_value();
  if (!found->version) {
    auto version = query_version(*found);
    if (!version) {
      status.presence = Presence::kBroken;
      status.note = version.error().to_string();
      return status;
    }
    found->version = std::move(*version);
  }
  status.presence = Presence::kReady;
  status.version = found->version->to_string();
  return status;
}

}  // namespace

std::string_view presence_name(Presence presence) {
  switch (presence) {
    case Presence::kReady: return "ready";
    case Presence::kMissing: return "missing";
    case Presence::kBroken: return "broken";
  }
  return "unknown";
}

std::vector<LanguageStatus> detect_languages(const LanguageTable& table,
                                             const ToolSearchOptions& options) {
  const std::vector<Language>& languages = table.languages();
  std::vector<LanguageStatus> statuses(languages.size());
  std::atomic<std::size_t> next = 0;
  {
    const auto work = [&] {
      for (std::size_t i = next++; i < languages.size(); i = next++) {
        statuses[i] = examine(languages[i], options);
      }
    };
    std::vector<std::jthread> workers;
    for (std::size_t i = 0; i < std::min(kWorkersMax, languages.size()); ++i) {
      workers.emplace_back(work);
    }
  }  // joined here
  return statuses;
}

}  // namespace airlock::language
