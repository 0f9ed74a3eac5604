#include "language/language_parser.h"

#include <algorithm>
#include <cctype>

#include "language/language_table.h"

namespace airlock::language {
namespace {

constexpr std::size_t kNameBytesMax = 32;

base::Result<std::string> check_name(const YamlReader& reader, YamlPosition at,
                                     const std::string& name) {
  const bool lower = std::ranges::none_of(name, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!lower || name.size() > kNameBytesMax || !is_plain_name(name, "+#._-")) {
    return base::fail(reader.error(at, "\"" + name + "\" cannot be the name of a language",
                                   "use 1 to 32 characters of a-z, 0-9 and + # . _ -"));
  }
  return name;
}

base::Result<std::string> check_extension(const YamlReader& reader, YamlPosition at,
                                          const std::string& extension) {
  const bool dotted = extension.starts_with('.') && extension.size() <= kNameBytesMax;
  if (!dotted || !is_plain_name(std::string_view(extension).substr(1), "+_-")) {
    return base::fail(reader.error(at, "\"" + extension + "\" is not a file extension",
                                   "write it with one dot in front, for example .py"));
  }
  return extension;
}

using CheckWord = base::Result<std::string> (*)(const YamlReader&, YamlPosition,
                                                const std::string&);

base::Result<std::vector<std::string>> read_words(const YamlReader& reader, const YamlNode& node,
                                                  std::string_view what, CheckWord check) {
  AIRLOCK_TRY(reader.check_list(node, what, kNamesMax));
  std::vector<std::string> words;
  for (const YamlNode& item : node.items) {
    AIRLOCK_ASSIGN(const std::string text, reader.read_text(item, what));
    AIRLOCK_ASSIGN(std::string word, check(reader, item.at, text));
    words.push_back(std::move(word));
  }
  return words;
}

base::Result<std::string> read_file_name(const YamlReader& reader, const YamlNode& node,
                                         const Language& language) {
  const std::string what = "file_name of " + language.name;
  AIRLOCK_ASSIGN(std::string name, reader.read_text(node, what));
  const bool fits = std::ranges::any_of(language.extensions, [&name](const std::string& extension) {
    return name.size() > extension.size() && name.ends_with(extension);
  });
  if (!fits || name.size() > kNameBytesMax || !is_plain_name(name, "._-")) {
    return base::fail(
        reader.error(node.at, what + " cannot be \"" + name + "\"",
                     "use a plain name that ends in " + join_names(language.extensions)));
  }
  return name;
}

}  // namespace

bool is_plain_name(std::string_view text, std::string_view more) {
  const auto plain = [](unsigned char c) { return c < 0x80 && std::isalnum(c) != 0; };
  return !text.empty() && plain(static_cast<unsigned char>(text.front())) &&
         std::ranges::all_of(text, [&](char c) {
           return plain(static_cast<unsigned char>(c)) || more.find(c) != std::string_view::npos;
         });
}

base::Result<Language> parse_language(const YamlReader& reader, const YamlEntry& entry) {
  static const std::vector<std::string> kKeys = {"aliases", "extensions", "file_name",
                                                 "toolchains"};
  Language language;
  AIRLOCK_ASSIGN(language.name, check_name(reader, entry.at, entry.key));
  const YamlNode& node = entry.value;
  const std::string& what = language.name;
  AIRLOCK_TRY(reader.check_mapping(node, what, kKeys));
  if (const YamlNode* aliases = node.find("aliases")) {
    AIRLOCK_ASSIGN(language.aliases,
                   read_words(reader, *aliases, "aliases of " + what, check_name));
  }
  AIRLOCK_ASSIGN(const YamlNode* extensions, reader.require_key(node, what, "extensions"));
  AIRLOCK_ASSIGN(language.extensions,
                 read_words(reader, *extensions, "extensions of " + what, check_extension));
  AIRLOCK_ASSIGN(const YamlNode* file_name, reader.require_key(node, what, "file_name"));
  AIRLOCK_ASSIGN(language.file_name, read_file_name(reader, *file_name, language));
  AIRLOCK_ASSIGN(const YamlNode* toolchains, reader.require_key(node, what, "toolchains"));
  AIRLOCK_TRY(reader.check_list(*toolchains, "toolchains of " + what, kToolchainsMax));
  for (const YamlNode& item : toolchains->items) {
    const std::string number = std::to_string(language.toolchains.size() + 1);
    AIRLOCK_ASSIGN(Toolchain toolchain,
                   parse_toolchain(reader, item, "toolchain " + number + " of " + what));
    language.toolchains.push_back(std::move(toolchain));
  }
  return language;
}

}  // namespace airlock::language
