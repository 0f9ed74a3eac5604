// Placeholders: the few words in braces that stand for something in a command of a language.
//
// "{word}" of lower-case letters and '_' is a placeholder and must be a known one; any other brace
// is text. A value that is put in is never looked at again, so a file called "{binary}" stays one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace airlock::language {

inline constexpr std::string_view kSourcePlaceholder = "source";  // path of the program's text
inline constexpr std::string_view kStemPlaceholder = "stem";      // its name without the extension
inline constexpr std::string_view kBinaryPlaceholder = "binary";  // path of what compile makes
inline constexpr std::string_view kMemoryPlaceholder = "memory_bytes";  // the phase's limit
inline constexpr std::string_view kArgumentsWord = "{args}";  // a whole word: the user's arguments

struct PlaceholderValue {
  std::string_view name;
  std::string value;
};

// Puts the values in. A placeholder without a value is kInvalidArgument.
base::Result<std::string> fill_placeholders(std::string_view text,
                                            std::span<const PlaceholderValue> values);

}  // namespace airlock::language
