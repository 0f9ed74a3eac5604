// Names of artifacts: which relative paths and keys are acceptable, and how to print any of them.
//
// Pure functions. A relative path that passes can be made below a folder and stays below it;
// what does not pass is refused by name, never changed into something else.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace airlock::artifact {

inline constexpr std::size_t kKeyBytesMax = 1'024;    // S3: of a key
inline constexpr std::size_t kNameBytesMax = 255;     // NAME_MAX of Linux
inline constexpr std::size_t kPathDepthMax = 64;      // folders within folders
inline constexpr std::size_t kPrintedBytesMax = 200;  // of a name in a message

// "a", "a/b c", "ä=+/1": not absolute; no part empty, "." or ".."; UTF-8 without control
// characters; at most kKeyBytesMax, each part kNameBytesMax, kPathDepthMax parts.
base::Status check_relative_path(std::string_view path);

// The text in double quotes, fit for a log line: what is no printable UTF-8 as \xNN, shortened.
std::string quoted(std::string_view text);

// Whether the text holds a control character (C0, DEL, C1) or a byte that is no UTF-8.
bool has_unprintable(std::string_view text);

// By RFC 3986: all but letters, digits and -._~ as %NN; with `kept` "/" slashes stay.
std::string percent_encode(std::string_view text, std::string_view kept = {});
// Nothing if a % is not followed by two hexadecimal digits.
std::optional<std::string> percent_decode(std::string_view text);

}  // namespace airlock::artifact
