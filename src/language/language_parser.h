// LanguageParser: one entry of the languages file becomes one checked Language.
//
// Sees one language at a time; that names and extensions are used once is LanguageTable::parse's.
// Toolchains have a file of their own because they are most of it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "language/language.h"
#include "language/yaml_document.h"
#include "language/yaml_reader.h"

namespace airlock::language {

base::Result<Language> parse_language(const YamlReader& reader, const YamlEntry& entry);

// `what` is "toolchain 1 of python".
base::Result<Toolchain> parse_toolchain(const YamlReader& reader, const YamlNode& node,
                                        std::string_view what);

// Whether a text is a plain name: starts with a letter or digit, goes on with those or `more`.
bool is_plain_name(std::string_view text, std::string_view more);

}  // namespace airlock::language
