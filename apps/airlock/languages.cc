#include "apps/airlock/languages.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "apps/airlock/exit_codes.h"
#include "apps/airlock/parse_words.h"
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

// The columns of the list, each as wide as its widest cell.
struct Columns {
  std::size_t name = std::string_view("LANGUAGE").size();
  std::size_t version = std::string_view("VERSION").size();
  std::size_t files = std::string_view("FILES").size();
  std::size_t aliases = std::string_view("ALSO CALLED").size();
};

Columns measure(const std::vector<LanguageStatus>& statuses) {
  Columns columns;
  for (const LanguageStatus& status : statuses) {
    columns.name = std::max(columns.name, status.name.size());
    if (status.presence != Presence::kReady) continue;
    columns.version = std::max(columns.version, status.version.size());
    columns.files = std::max(columns.files, spaced(status.extensions).size());
    columns.aliases = std::max(columns.aliases, spaced(status.aliases).size());
  }
  return columns;
}

// What stands beside the name of a language.
std::string describe(const LanguageStatus& status, const Columns& columns) {
  if (status.presence == Presence::kReady) {
    return padded(status.version, columns.version) +
           padded(spaced(status.extensions), columns.files) +
           padded(spaced(status.aliases), columns.aliases) + status.toolchain;
  }
  std::string text(language::presence_name(status.presence));
  if (status.packages.empty()) return text + ": " + status.note;
  text += ": install " + spaced(status.packages);
  return status.note.empty() ? text : text + " (" + status.note + ")";
}

std::string table_text(const std::vector<LanguageStatus>& statuses) {
  const Columns columns = measure(statuses);
  std::string text = padded("LANGUAGE", columns.name) + padded("VERSION", columns.version) +
                     padded("FILES", columns.files) + padded("ALSO CALLED", columns.aliases) +
                     "TOOLCHAIN\n";
  std::vector<std::string> packages;
  std::size_t ready = 0;
  for (const LanguageStatus& status : statuses) {
    text += escaped(padded(status.name, columns.name) + describe(status, columns)) + "\n";
    if (status.presence == Presence::kReady) ++ready;
    for (const std::string& package : status.packages) {
      if (std::ranges::find(packages, package) == packages.end()) packages.push_back(package);
    }
  }
  text += "\n" + std::to_string(ready) + " of " + std::to_string(statuses.size()) +
          " languages are ready.\n";
  if (!packages.empty())
    text += "For the others: apt-get install " + escaped(spaced(packages)) + "\n";
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

int languages_verb(const std::vector<std::string>& words) {
  LanguagesOptions options;
  CLI::App app("Lists the languages that this host can run, and what to install for the others.",
               "airlock languages");
  app.add_flag("--json", options.json, "Print the list as one JSON object");
  app.add_option("--languages", options.file, "A languages file to use for the built-in one")
      ->envname("AIRLOCK_LANGUAGES");
  if (const auto code = parse_words(app, "languages", words)) return *code;
  return run_languages(options);
}

}  // namespace airlock::apps
