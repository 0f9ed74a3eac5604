#include "config/config_file.h"

#include <algorithm>
#include <vector>

#include "base/files.h"
#include "language/yaml_document.h"
#include "language/yaml_reader.h"

namespace airlock::config {
namespace {

using language::YamlEntry;
using language::YamlNode;
using language::YamlReader;

constexpr std::size_t kTextBytesMax = 4'096;
constexpr std::size_t kListItemsMax = 64;

// What may stand directly below a section: names and sections of the table, in its order.
std::vector<std::string> known_keys(std::span<const Setting> settings, std::string_view section) {
  std::vector<std::string> keys;
  for (const Setting& setting : settings) {
    if (setting.places == Places::kNotInFile || !setting.name.starts_with(section)) continue;
    const std::string_view rest = setting.name.substr(section.size());
    const std::string key(rest.substr(0, rest.find('.')));
    if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
  }
  return keys;
}

bool is_section(std::span<const Setting> settings, std::string_view prefix) {
  return std::ranges::any_of(
      settings, [&](const Setting& setting) { return setting.name.starts_with(prefix); });
}

// What is known, but not in this file.
base::Status check_place(const YamlReader& reader, const YamlEntry& entry, const std::string& name,
                         std::span<const Setting> settings, Readers readers) {
  const auto found = std::ranges::find(settings, name, &Setting::name);
  if (found == settings.end()) return {};
  if (found->places == Places::kSecret && readers == Readers::kOthers) {
    return base::fail(
        reader.error(entry.at, entry.key + " is a secret, and others can read this file",
                     "chmod 600 the file, or set " + variable_of(*found) + " instead"));
  }
  if (found->places == Places::kNotInFile) {
    return base::fail(reader.error(entry.at, entry.key + " cannot be said in the file itself",
                                   "use " + flag_of(*found) + " or " + variable_of(*found)));
  }
  return {};
}

base::Result<std::vector<std::string>> read_texts(const YamlReader& reader, const Setting& setting,
                                                  const YamlNode& node) {
  std::vector<std::string> texts;
  if (setting.shape == Shape::kList && node.kind == YamlNode::Kind::kList) {
    // Nothing of it, which nothing said means, too. Where there is a default it would not.
    if (node.items.empty() && setting.fallback.empty()) return texts;
    AIRLOCK_TRY(reader.check_list(node, setting.name, kListItemsMax));
    for (const YamlNode& item : node.items) {
      AIRLOCK_ASSIGN(std::string text, reader.read_text(item, setting.name));
      texts.push_back(std::move(text));
    }
    return texts;
  }
  AIRLOCK_ASSIGN(std::string text, reader.read_text(node, setting.name));
  texts.push_back(std::move(text));
  return texts;
}

class FileValues {
 public:
  FileValues(Values& values, Readers readers, const std::string& origin)
      : values_(values), readers_(readers), origin_(origin), reader_(origin, kTextBytesMax) {}

  // `section` is empty or ends with a dot.
  base::Status put(const YamlNode& node, const std::string& section) {
    for (const YamlEntry& entry : node.entries) {
      AIRLOCK_TRY(check_place(reader_, entry, section + entry.key, values_.settings(), readers_));
    }
    const std::string what = section.empty() ? "the configuration" : section;
    AIRLOCK_TRY(reader_.check_mapping(node, what, known_keys(values_.settings(), section)));
    for (const YamlEntry& entry : node.entries) {
      if (entry.value.kind == YamlNode::Kind::kNothing) {
        return base::fail(reader_.error(entry.at, entry.key + " has no value"));
      }
      const std::string name = section + entry.key;
      if (is_section(values_.settings(), name + ".")) {
        AIRLOCK_TRY(put(entry.value, name + "."));
      } else {
        AIRLOCK_TRY(put_one(name, entry.value));
      }
    }
    return {};
  }

 private:
  base::Status put_one(const std::string& name, const YamlNode& node) {
    const auto setting = std::ranges::find(values_.settings(), name, &Setting::name);
    AIRLOCK_ASSIGN(std::vector<std::string> texts, read_texts(reader_, *setting, node));
    if (texts.empty()) return {};
    const std::string place =
        origin_ + ":" + std::to_string(node.at.line) + ":" + std::to_string(node.at.column);
    values_.put(setting->name, {std::move(texts), Layer::kFile, place});
    return {};
  }

  Values& values_;
  Readers readers_;
  const std::string& origin_;
  YamlReader reader_;
};

}  // namespace

base::Status put_file(Values& values, const ConfigText& text, const std::string& origin) {
  AIRLOCK_ASSIGN(const YamlNode root, language::parse_yaml(text.yaml, origin));
  if (root.kind == YamlNode::Kind::kNothing) return {};
  return FileValues(values, text.readers, origin).put(root, "");
}

base::Result<ConfigText> read_config_file(const std::string& path) {
  AIRLOCK_ASSIGN(const base::UniqueFd file, base::open_regular(path));
  ConfigText text;
  text.readers = base::is_private(file.get()) ? Readers::kOwner : Readers::kOthers;
  AIRLOCK_ASSIGN(text.yaml, base::read_to_end(file.get(), kConfigBytesMax, path));
  return text;
}

}  // namespace airlock::config
