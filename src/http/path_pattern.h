// Patterns of paths: "/v1/jobs/{id}/outputs/{path...}".
//
// A word in braces stands for one segment that is not empty, one with dots, only at the end, for
// the rest of the path, not empty either. What they stand for is percent-decoded; a path whose
// decoding is not valid, or would put a '/' or NUL into a segment, matches nothing. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace airlock::http {

// In the order of the pattern; nullopt: it does not match.
std::optional<std::vector<std::string>> match_path(std::string_view pattern, std::string_view path);

// "%41+b" is "A+b": '+' is no space in a path. nullopt: a '%' that begins nothing, or a NUL.
std::optional<std::string> percent_decode(std::string_view text);

}  // namespace airlock::http
