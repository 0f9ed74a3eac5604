#include "apps/airlock/languages.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "apps/airlock/exit_codes.h"
#include "apps/airlock/print.h"
#include "http/languages_json.h"
#include "language/language_status.h"
#include "language/language_table.h"

namespace airlock::apps {
namespace {

using language::LanguageStatus;
using language::Presence;

struct LanguagesOptions {
  bool json = false;
  std::string file;  // empty: the built-in table
};

std::string spaced(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text + "  ";
}

// What stands beside the name of a language.
std::string describe(const LanguageStatus& status, std::size_t version_width) {
  if (status.presence == Presence::kReady) {
    const std::string names = spaced(status.aliases);
    return padded(status.version, version_width) + padded(spaced(status.extensions), 16) +
           padded(names, 16) + status.toolchain;
  }
  std::string text(language::presence_name(status.presence));
  if (!status.packages.empty()) text += ": install " + spaced(status.packages);
  if (!status.note.empty()) text += status.packages.empty() ? ": " : " (";
  text += status.note;
  if (!status.note.empty() && !status.packages.empty()) text += ")";
  return text;
}

std::string table_text(const std::vector<LanguageStatus>& statuses) {
  std::size_t name_width = 8;
  std::size_t version_width = 7;
  for (const LanguageStatus& status : statuses) {
    name_width = std::max(name_width, status.name.size());
    version_width = std::max(version_width, status.version.size());
  }
  std::string text = padded("LANGUAGE", name_width) + padded("VERSION", version_width) +
                     padded("FILES", 16) + padded("ALSO CALLED", 16) + "TOOLCHAIN\n";
  std::string packages;
  std::size_t ready = 0;
  for (const LanguageStatus& status : statuses) {
    std::string line = padded(status.name, name_width) + describe(status, version_width);
    line.erase(line.find_last_not_of(' ') + 1);
    text += escaped(line) + "\n";
    if (status.presence == Presence::kReady) ++ready;
    if (!status.packages.empty()) packages += " " + spaced(status.packages);
  }
  text += "\n" + std::to_string(ready) + " of " + std::to_string(statuses.size()) +
          " languages are ready.\n";
  if (!packages.empty()) text += "For the others: apt-get install" + escaped(packages) + "\n";
  return text;
}

int run_languages(const LanguagesOptions& options) {
  const auto table = language::LanguageTable::load(options.file);
  if (!table) {
    print_error(table.error());
    return kExitUsage;
  }
  language::ToolSearchOptions search;
  if (const char* path = std::getenv("PATH")) search.caller_path = path;
  const std::vector<LanguageStatus> statuses = language::detect_languages(*table, search);
  const std::string text =
      options.json ? http::languages_json(statuses) + "\n" : table_text(statuses);
  const bool printed =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return printed ? 0 : kExitFailed;
}

}  // namespace

void add_languages_verb(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<LanguagesOptions>();
  CLI::App* verb = app.add_subcommand(
      "languages", "List the languages that this host can run, and what to install for the others");
  verb->add_flag("--json", options->json, "Print the list as one JSON object");
  verb->add_option("--languages", options->file, "A languages file to use for the built-in one")
      ->envname("AIRLOCK_LANGUAGES");
  verb->callback([options, &exit_code] { exit_code = run_languages(*options); });
}

}  // namespace airlock::apps
