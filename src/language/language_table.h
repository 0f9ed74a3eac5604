// LanguageTable: every language that Airlock knows, read from policies/languages.yaml.
//
// `parse` is strict: an unknown key, a wrong type, a name used twice, an impossible limit, an
// unknown placeholder, an anchor, or more than kTableBytesMax are errors that name line, column
// and, where a name is close, what was meant. A table that exists is valid. Does not look at the
// host. The built-in text is part of the binary and is parsed on request, so that a run that needs
// no language pays nothing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "language/language.h"

namespace airlock::language {

inline constexpr std::size_t kTableBytesMax = 256 * 1024;
inline constexpr std::size_t kLanguagesMax = 256;
inline constexpr std::size_t kNamesMax = 32;       // aliases, or extensions, of one language
inline constexpr std::size_t kToolchainsMax = 16;  // of one language
inline constexpr std::size_t kToolsMax = 16;       // of one toolchain
inline constexpr std::size_t kCommandWordsMax = 128;
inline constexpr std::size_t kEnvironmentMax = 64;
inline constexpr std::size_t kTextBytesMax = 8 * 1024;  // one string

class LanguageTable {
 public:
  // `origin` names the text in errors: "policies/languages.yaml:12:7: unknown key ...".
  static base::Result<LanguageTable> parse(std::string_view yaml, std::string_view origin);
  // The text that was compiled in.
  static base::Result<LanguageTable> builtin();
  // builtin() for "", else the regular file of that name.
  static base::Result<LanguageTable> load(const std::string& file);

  const std::vector<Language>& languages() const { return languages_; }

  // By name or alias; null if there is none. The pointer lives as long as the table.
  const Language* find(std::string_view name) const;
  // By the extension of a file name: "a/b.tar.py" is Python; null if none fits.
  const Language* find_by_file_name(std::string_view file_name) const;

  // As `find`, with an error that names the closest language and lists all of them.
  base::Result<const Language*> require(std::string_view name) const;
  // As `find_by_file_name`, with an error that says which extensions are known.
  base::Result<const Language*> require_by_file_name(std::string_view file_name) const;

 private:
  std::vector<Language> languages_;
};

}  // namespace airlock::language
