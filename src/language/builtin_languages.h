// The text of policies/languages.yaml as it was when this binary was built.
//
// CMake writes the source file. Static lifetime; not parsed here and not checked: a test of
// LanguageTable does that.
#pragma once

#include <string_view>

namespace airlock::language {

std::string_view builtin_languages_yaml();

}  // namespace airlock::language
