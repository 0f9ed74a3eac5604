#include "apps/airlock/parse_words.h"

#include <algorithm>

#include "apps/airlock/exit_codes.h"
#include "apps/airlock/print.h"
#include "language/nearest_name.h"

namespace airlock::apps {

std::string nearest_option(const CLI::App& app, const std::string& name) {
  std::vector<std::string> names;
  for (const CLI::Option* const option : app.get_options()) {
    for (const std::string& known : option->get_lnames()) names.push_back("--" + known);
  }
  const auto nearest = language::find_nearest_name(name, names);
  return nearest ? "did you mean " + *nearest + "?" : "";
}

base::Error explain(const CLI::App& app, std::string_view verb, const CLI::ParseError& error) {
  base::Error explained{base::ErrorCode::kInvalidArgument, 0,
                        std::string(verb) + ": " + error.what(),
                        "airlock help " + std::string(verb) + " says what it takes"};
  // A word that is not known may be the reason why another seems to be missing.
  const std::vector<std::string> unknown = app.remaining();
  const auto option = std::ranges::find_if(
      unknown, [](const std::string& word) { return word.size() > 1 && word[0] == '-'; });
  if (option != unknown.end()) {
    const std::string name = option->substr(0, option->find('='));
    explained.message = std::string(verb) + ": unknown option \"" + name + "\"";
    if (std::string hint = nearest_option(app, name); !hint.empty()) explained.hint = hint;
  } else if (!unknown.empty()) {
    explained.message = std::string(verb) + ": unexpected argument \"" + unknown.front() + "\"";
  }
  return explained;
}

std::optional<int> parse_words(CLI::App& app, std::string_view verb,
                               const std::vector<std::string>& words) {
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    print_error(explain(app, verb, error));
    return kExitUsage;
  }
  return std::nullopt;
}

}  // namespace airlock::apps
