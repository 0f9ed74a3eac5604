#include "language/language_table.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <ranges>

#include "base/unique_fd.h"
#include "language/builtin_languages.h"
#include "language/language_parser.h"
#include "language/nearest_name.h"
#include "language/yaml_document.h"
#include "language/yaml_reader.h"

namespace airlock::language {
namespace {

using base::Result;
using base::Status;

// What is taken, and by which language.
using Owners = std::map<std::string, std::string>;

Status claim(const YamlReader& reader, YamlPosition at, Owners& owners, const std::string& word,
             const std::string& language) {
  const auto [owner, added] = owners.emplace(word, language);
  if (added) return {};
  return base::fail(
      reader.error(at, "\"" + word + "\" of " + language + " already belongs to " + owner->second));
}

// The items of a list, or nothing.
std::span<const YamlNode> items_of(const YamlNode* node) {
  return node == nullptr ? std::span<const YamlNode>() : std::span<const YamlNode>(node->items);
}

Status claim_names(const YamlReader& reader, const YamlEntry& entry, Owners& names,
                   Owners& extensions) {
  AIRLOCK_TRY(claim(reader, entry.at, names, entry.key, entry.key));
  for (const YamlNode& alias : items_of(entry.value.find("aliases"))) {
    AIRLOCK_TRY(claim(reader, alias.at, names, alias.text, entry.key));
  }
  for (const YamlNode& extension : items_of(entry.value.find("extensions"))) {
    AIRLOCK_TRY(claim(reader, extension.at, extensions, extension.text, entry.key));
  }
  return {};
}

// Reads a whole regular file that is not larger than a table may be.
Result<std::string> read_table_file(const std::string& file) {
  // Why safe: the kernel copies the path; O_NONBLOCK keeps a fifo from blocking the open.
  base::UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return base::fail_errno("open " + file);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return base::fail_errno("stat " + file);
  if (!S_ISREG(info.st_mode)) {
    return base::fail(base::ErrorCode::kInvalidArgument, file + " is not a regular file");
  }
  std::string text(kTableBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(fd.get(), text.data() + size, text.size() - size);
    if (count < 0) return base::fail_errno("read " + file);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  return text;
}

}  // namespace

Result<LanguageTable> LanguageTable::parse(std::string_view yaml, std::string_view origin) {
  if (yaml.size() > kTableBytesMax) {
    return base::fail(base::ErrorCode::kLimitExceeded,
                      std::string(origin) + " is larger than " +
                          base::format_byte_count(base::ByteCount(kTableBytesMax)));
  }
  static const std::vector<std::string> kKeys = {"languages"};
  const YamlReader reader(origin, kTextBytesMax);
  AIRLOCK_ASSIGN(const YamlNode root, parse_yaml(yaml, origin));
  AIRLOCK_TRY(reader.check_mapping(root, "the file", kKeys));
  AIRLOCK_ASSIGN(const YamlNode* list, reader.require_key(root, "the file", "languages"));
  if (list->kind != YamlNode::Kind::kMapping || list->entries.size() > kLanguagesMax) {
    return base::fail(reader.error(list->at, "languages must be a mapping of at most " +
                                                 std::to_string(kLanguagesMax) + " names"));
  }
  LanguageTable table;
  Owners names;
  Owners extensions;
  for (const YamlEntry& entry : list->entries) {
    AIRLOCK_ASSIGN(Language language, parse_language(reader, entry));
    AIRLOCK_TRY(claim_names(reader, entry, names, extensions));
    table.languages_.push_back(std::move(language));
  }
  return table;
}

Result<LanguageTable> LanguageTable::builtin() {
  return parse(builtin_languages_yaml(), "policies/languages.yaml");
}

Result<LanguageTable> LanguageTable::load(const std::string& file) {
  if (file.empty()) return builtin();
  AIRLOCK_ASSIGN(const std::string text, read_table_file(file));
  return parse(text, file);
}

const Language* LanguageTable::find(std::string_view name) const {
  const auto found = std::ranges::find_if(languages_, [name](const Language& language) {
    return language.name == name ||
           std::ranges::find(language.aliases, name) != language.aliases.end();
  });
  return found == languages_.end() ? nullptr : &*found;
}

const Language* LanguageTable::find_by_file_name(std::string_view file_name) const {
  const std::size_t slash = file_name.rfind('/');
  if (slash != std::string_view::npos) file_name.remove_prefix(slash + 1);
  const std::size_t dot = file_name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return nullptr;
  const std::string_view extension = file_name.substr(dot);
  const auto found = std::ranges::find_if(languages_, [extension](const Language& language) {
    return std::ranges::find(language.extensions, extension) != language.extensions.end();
  });
  return found == languages_.end() ? nullptr : &*found;
}

Result<const Language*> LanguageTable::require(std::string_view name) const {
  if (const Language* language = find(name)) return language;
  std::vector<std::string> names;
  for (const Language& language : languages_) names.push_back(language.name);
  std::vector<std::string> known = names;
  for (const Language& language : languages_) {
    known.insert(known.end(), language.aliases.begin(), language.aliases.end());
  }
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "unknown language \"" + std::string(name) + "\"" + did_you_mean(name, known),
                    "known languages: " + join_names(names, ", "));
}

Result<const Language*> LanguageTable::require_by_file_name(std::string_view file_name) const {
  if (const Language* language = find_by_file_name(file_name)) return language;
  std::vector<std::string> extensions;
  for (const Language& language : languages_) {
    extensions.insert(extensions.end(), language.extensions.begin(), language.extensions.end());
  }
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "no language goes with the file name \"" + std::string(file_name) + "\"",
                    "name it with --language; known extensions: " + join_names(extensions, ", "));
}

}  // namespace airlock::language
