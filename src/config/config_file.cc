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

std::vector<std::string> known_keys(std::span<const Setting> settings) {
  std::vector<std::string> keys;
  for (const Setting& setting : settings) {
    const bool in_file =
        setting.places != Places::kNotInFile && setting.places != Places::kVariableOnly;
    if (in_file) keys.emplace_back(setting.name);
  }
  return keys;
}

// What is known, but not here.
base::Status check_place(const YamlReader& reader, const YamlEntry& entry,
                         std::span<const Setting> settings) {
  const auto found = std::ranges::find(settings, entry.key, &Setting::name);
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

}  // namespace

base::Status put_file(Values& values, std::string_view yaml, const std::string& origin) {
  const YamlReader reader(origin, kTextBytesMax);
  AIRLOCK_ASSIGN(const YamlNode root, language::parse_yaml(yaml, origin));
  if (root.kind == YamlNode::Kind::kNothing) return {};
  for (const YamlEntry& entry : root.entries) {
    AIRLOCK_TRY(check_place(reader, entry, values.settings()));
  }
  AIRLOCK_TRY(reader.check_mapping(root, "the configuration", known_keys(values.settings())));
  for (const YamlEntry& entry : root.entries) {
    if (entry.value.kind == YamlNode::Kind::kNothing) {
      return base::fail(reader.error(entry.at, entry.key + " has no value"));
    }
    const auto setting = std::ranges::find(values.settings(), entry.key, &Setting::name);
    AIRLOCK_ASSIGN(std::vector<std::string> texts, read_texts(reader, *setting, entry.value));
    const std::string place = origin + ":" + std::to_string(entry.value.at.line) + ":" +
                              std::to_string(entry.value.at.column);
    values.put(setting->name, {std::move(texts), Layer::kFile, place});
  }
  return {};
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
