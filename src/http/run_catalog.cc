#include "http/run_catalog.h"

#include <optional>
#include <utility>

#include "http/languages_json.h"

namespace airlock::http {

// What one search of the host brought; each part is filled in once.
struct RunCatalog::Found {
  struct Entry {
    std::once_flag searched;
    std::optional<base::Result<language::InstalledToolchain>> toolchain;
  };

  explicit Found(std::size_t languages) : entries(languages) {}

  std::vector<Entry> entries;  // one per language of the table
  std::once_flag described;
  std::string description;
};

RunCatalog::RunCatalog(language::LanguageTable table, language::ToolSearchOptions options)
    : table_(std::move(table)),
      options_(std::move(options)),
      found_(std::make_shared<Found>(table_.languages().size())) {}

RunCatalog::~RunCatalog() = default;

std::shared_ptr<RunCatalog::Found> RunCatalog::found() const {
  const std::scoped_lock lock(mutex_);
  return found_;
}

void RunCatalog::refresh() {
  auto fresh = std::make_shared<Found>(table_.languages().size());
  const std::scoped_lock lock(mutex_);
  found_.swap(fresh);
}

struct RunCatalog::Toolchain {
  const language::Language* language = nullptr;
  std::shared_ptr<Found> found;  // holds what `installed` points to
  const language::InstalledToolchain* installed = nullptr;
};

base::Result<RunCatalog::Toolchain> RunCatalog::require(std::string_view language_name) const {
  AIRLOCK_ASSIGN(const language::Language* const language, table_.require(language_name));
  const auto index = static_cast<std::size_t>(language - table_.languages().data());
  std::shared_ptr<Found> current = found();
  Found::Entry& entry = current->entries[index];
  std::call_once(entry.searched, [this, language, &entry] {
    entry.toolchain = language::require_toolchain(*language, options_);
  });
  if (!entry.toolchain->has_value()) return base::fail(entry.toolchain->error());
  const language::InstalledToolchain* const installed = &**entry.toolchain;
  return Toolchain{language, std::move(current), installed};
}

base::Result<language::RunPlan> RunCatalog::plan(std::string_view language_name,
                                                 const language::PlanRequest& request) const {
  AIRLOCK_ASSIGN(const Toolchain toolchain, require(language_name));
  return language::make_plan(*toolchain.language, *toolchain.installed, request);
}

base::Status RunCatalog::check(std::string_view language_name) const {
  AIRLOCK_TRY(require(language_name));
  return {};
}

bool RunCatalog::knows(std::string_view language_name) const {
  return table_.find(language_name) != nullptr;
}

std::vector<std::string> RunCatalog::names() const {
  std::vector<std::string> names;
  for (const language::Language& language : table_.languages()) names.push_back(language.name);
  return names;
}

std::string RunCatalog::languages_json() const {
  const std::shared_ptr<Found> current = found();
  std::call_once(current->described, [this, &current] {
    current->description = http::languages_json(language::detect_languages(table_, options_));
  });
  return current->description;
}

}  // namespace airlock::http
