#include "config/config_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/unique_fd.h"
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
    const bool in_file =
        setting.places != Places::kNotInFile && setting.places != Places::kVariableOnly;
    if (!in_file || !setting.name.starts_with(section)) continue;
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

// What is known, but not here.
base::Status check_place(const YamlReader& reader, const YamlEntry& entry, const std::string& name,
                         std::span<const Setting> settings) {
  const auto found = std::ranges::find(settings, name, &Setting::name);
  if (found == settings.end()) return {};
  if (found->places == Places::kVariableOnly) {
    return base::fail(
        reader.error(entry.at, entry.key + " is a secret and does not belong here",
                     "set " + variable_of(*found) + ", or name a file that holds it"));
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
  FileValues(Values& values, const std::string& origin)
      : values_(values), origin_(origin), reader_(origin, kTextBytesMax) {}

  // `section` is empty or ends with a dot.
  base::Status put(const YamlNode& node, const std::string& section) {
    for (const YamlEntry& entry : node.entries) {
      AIRLOCK_TRY(check_place(reader_, entry, section + entry.key, values_.settings()));
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
    const std::string place =
        origin_ + ":" + std::to_string(node.at.line) + ":" + std::to_string(node.at.column);
    values_.put(setting->name, {std::move(texts), Layer::kFile, place});
    return {};
  }

  Values& values_;
  const std::string& origin_;
  YamlReader reader_;
};

}  // namespace

base::Status put_file(Values& values, std::string_view yaml, const std::string& origin) {
  AIRLOCK_ASSIGN(const YamlNode root, language::parse_yaml(yaml, origin));
  if (root.kind == YamlNode::Kind::kNothing) return {};
  return FileValues(values, origin).put(root, "");
}

base::Result<std::string> read_config_file(const std::string& path) {
  // Why safe: the kernel copies the path; O_NONBLOCK keeps a fifo from blocking the open.
  const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info{};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) return base::fail_errno("open " + path);
  if (!S_ISREG(info.st_mode)) {
    return base::fail(base::ErrorCode::kInvalidArgument, path + " is not a regular file");
  }
  std::string text(kConfigBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    // Why safe: at most what is left of the text is written to it.
    const ssize_t count = ::read(file.get(), text.data() + size, text.size() - size);
    if (count < 0) return base::fail_errno("read " + path);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > kConfigBytesMax) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      path + " is larger than " + std::to_string(kConfigBytesMax) + " bytes");
  }
  text.resize(size);
  return text;
}

}  // namespace airlock::config
