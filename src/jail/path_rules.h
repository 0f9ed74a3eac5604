// Path rules: which names from a caller or a guest are acceptable, and glob patterns over them.
//
// Pure, allocation-free and without the C library: used by airlock-init and checked by a fuzz
// target.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace airlock::jail {

inline constexpr std::size_t kGuestPathBytesMax = 1024;
inline constexpr std::uint32_t kGuestPathDepthMax = 64;
inline constexpr std::size_t kNameBytesMax = 255;

// Relative, not empty, no empty, "." or ".." part, no NUL, within the limits above.
bool is_safe_path(std::string_view path);

// Well-formed UTF-8 without control characters (C0, DEL, C1) and without characters that turn the
// direction of text around, so that a name can be printed as it is.
bool is_printable_utf8(std::string_view text);

// '*' and '?' match within one part, "**" any number of whole parts; '\' quotes. Linear in memory,
// at most kGlobStepsMax steps: a pattern that needs more does not match.
inline constexpr std::uint32_t kGlobStepsMax = 100'000;
// Steps that were needed are added to `steps`, if there is one.
bool matches_glob(std::string_view pattern, std::string_view path, std::uint64_t* steps = nullptr);

}  // namespace airlock::jail
