// How the words after a verb are taken apart, and what is said where they are wrong.
//
// CLI11 does the work; what it says of a word that it does not know is replaced by the name that
// was most likely meant.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace airlock::apps {

// "did you mean --follow?" for "--folow", or nothing.
std::string nearest_option(const CLI::App& app, const std::string& name);

// What is wrong with the words that `app` has just refused.
base::Error explain(const CLI::App& app, std::string_view verb, const CLI::ParseError& error);

// An exit code, if the words are wrong or only wanted help; both have been printed.
std::optional<int> parse_words(CLI::App& app, std::string_view verb,
                               const std::vector<std::string>& words);

}  // namespace airlock::apps
