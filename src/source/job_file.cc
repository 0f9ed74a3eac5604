#include "source/job_file.h"

#include <algorithm>
#include <charconv>

#include "base/host_port.h"
#include "language/yaml_document.h"
#include "language/yaml_reader.h"
#include "model/limits.h"
#include "source/git_names.h"
#include "source/repo_url.h"

namespace airlock::source {
namespace {

using language::YamlNode;
using language::YamlReader;

constexpr std::uint32_t kCpuMillisMin = 10;
constexpr std::uint32_t kCpuMillisMax = 1'024'000;
constexpr std::size_t kNameBytesMax = 64;

template <typename T>
struct Range {
  T lowest;
  T highest;
};

// What `parse` makes of a text, within a range; errors have the place of the text.
template <typename T, typename Parse, typename Format>
base::Result<T> read_value(const YamlReader& reader, const YamlNode& node, std::string_view what,
                           Range<T> range, Parse parse, Format format) {
  AIRLOCK_ASSIGN(const std::string text, reader.read_text(node, what));
  const auto value = parse(text);
  if (!value) return base::fail(reader.error_at(node.at, value.error()));
  if (*value < range.lowest || *value > range.highest) {
    return base::fail(reader.error(node.at, std::string(what) + " must be between " +
                                                format(range.lowest) + " and " +
                                                format(range.highest) + ", not " + text));
  }
  return *value;
}

base::Result<base::ByteCount> read_bytes(const YamlReader& reader, const YamlNode& node,
                                         std::string_view what, Range<base::ByteCount> range) {
  return read_value(reader, node, what, range, base::parse_byte_count, base::format_byte_count);
}

base::Result<std::chrono::milliseconds> read_time(const YamlReader& reader, const YamlNode& node,
                                                  std::string_view what) {
  return read_value(reader, node, what, Range{model::kTimeMin, model::kWallTimeMax},
                    base::parse_duration,
                    [](std::chrono::milliseconds time) { return base::format_duration(time); });
}

// "4" or "0.5": cores, with at most three digits behind the point.
base::Result<std::uint32_t> parse_cores(std::string_view text) {
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string digits(text.substr(0, point));
  const std::string_view fraction = text.substr(std::min(point + 1, text.size()));
  const bool has_fraction = point < text.size();
  if (!digits.empty() && has_fraction == !fraction.empty() && fraction.size() <= 3) {
    digits += std::string(fraction) + std::string(3 - fraction.size(), '0');
    std::uint32_t millis = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, millis);
    if (error == std::errc() && stop == end) return millis;
  }
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "\"" + std::string(text) + "\" is no number of cores",
                    "write 4, or 0.5, with at most three digits behind the point");
}

std::string format_cores(std::uint32_t millis) {
  std::string text = std::to_string(millis / 1'000);
  if (millis % 1'000 == 0) return text;
  std::string fraction = std::to_string(1'000 + millis % 1'000).substr(1);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return text + "." + fraction;
}

base::Result<std::uint32_t> read_cores(const YamlReader& reader, const YamlNode& node,
                                       std::string_view what) {
  return read_value(reader, node, what, Range<std::uint32_t>{kCpuMillisMin, kCpuMillisMax},
                    parse_cores, format_cores);
}

base::Result<std::uint32_t> read_pids(const YamlReader& reader, const YamlNode& node,
                                      std::string_view what) {
  AIRLOCK_ASSIGN(const std::uint32_t pids, reader.read_number(node, what));
  if (pids >= model::kPidsMin && pids <= model::kPidsMax) return pids;
  return base::fail(reader.error(
      node.at, std::string(what) + " must be between 1 and " + std::to_string(model::kPidsMax)));
}

base::Result<LimitWishes> read_limits(const YamlReader& reader, const YamlNode& node) {
  static const std::vector<std::string> kKeys = {"cpus", "memory", "pids", "prep_timeout",
                                                 "inference_timeout"};
  AIRLOCK_TRY(reader.check_mapping(node, "limits", kKeys));
  LimitWishes limits;
  if (const YamlNode* const cpus = node.find("cpus")) {
    AIRLOCK_ASSIGN(limits.cpu_millis, read_cores(reader, *cpus, "cpus"));
  }
  if (const YamlNode* const memory = node.find("memory")) {
    AIRLOCK_ASSIGN(limits.memory,
                   read_bytes(reader, *memory, "memory", {model::kMemoryMin, model::kMemoryMax}));
  }
  if (const YamlNode* const pids = node.find("pids")) {
    AIRLOCK_ASSIGN(limits.pids, read_pids(reader, *pids, "pids"));
  }
  if (const YamlNode* const time = node.find("prep_timeout")) {
    AIRLOCK_ASSIGN(limits.prep_timeout, read_time(reader, *time, "prep_timeout"));
  }
  if (const YamlNode* const time = node.find("inference_timeout")) {
    AIRLOCK_ASSIGN(limits.inference_timeout, read_time(reader, *time, "inference_timeout"));
  }
  return limits;
}

base::Result<Command> read_command(const YamlReader& reader, const YamlNode& node,
                                   std::string_view what) {
  if (node.kind == YamlNode::Kind::kText) {
    AIRLOCK_ASSIGN(std::string text, reader.read_text(node, what));
    return Command{"/bin/sh", "-c", std::move(text)};
  }
  AIRLOCK_TRY(reader.check_list(node, what, kJobFileWordsMax));
  Command words;
  for (const YamlNode& item : node.items) {
    AIRLOCK_TRY(reader.check_text(item, "a word of " + std::string(what)));
    words.push_back(item.text);
  }
  if (words.front().empty()) {
    return base::fail(reader.error(node.items.front().at,
                                   "the first word of " + std::string(what) + " is empty"));
  }
  return words;
}

base::Result<std::vector<Command>> read_build(const YamlReader& reader, const YamlNode& node) {
  std::vector<Command> commands;
  if (node.kind == YamlNode::Kind::kText && node.text == "none") return commands;
  if (node.kind == YamlNode::Kind::kText) {
    return base::fail(reader.error(node.at, "build must be a list of commands, or none",
                                   "write [\"" + node.text.substr(0, 64) + "\"]"));
  }
  AIRLOCK_TRY(reader.check_list(node, "build", kJobFileListMax));
  for (const YamlNode& item : node.items) {
    const std::string what = "command " + std::to_string(commands.size() + 1) + " of build";
    AIRLOCK_ASSIGN(Command command, read_command(reader, item, what));
    commands.push_back(std::move(command));
  }
  return commands;
}

using CheckText = base::Status (*)(std::string_view text);

base::Result<std::vector<std::string>> read_texts(const YamlReader& reader, const YamlNode& node,
                                                  std::string_view what, CheckText check) {
  AIRLOCK_TRY(reader.check_list(node, what, kJobFileListMax));
  std::vector<std::string> texts;
  for (const YamlNode& item : node.items) {
    AIRLOCK_ASSIGN(std::string text, reader.read_text(item, what));
    if (const base::Status status = check(text); !status) {
      return base::fail(reader.error_at(item.at, status.error()));
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

// A path or pattern below a folder.
base::Status check_below(std::string_view text) {
  if (parse_repo_path(text).has_value() && !text.ends_with('/')) return {};
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "\"" + std::string(text.substr(0, kNameBytesMax)) + "\" is not a relative path",
                    "write it without a leading /, and without . and ..");
}

// A host, a suffix, either with a port, or the name of a preset.
base::Status check_host(std::string_view text) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('.')) host.remove_prefix(1);
  const bool has_good_port = colon == text.size() || base::parse_port(text.substr(colon + 1));
  if (is_plain_host(host) && has_good_port) return {};
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "\"" + std::string(text.substr(0, kNameBytesMax)) + "\" is not a host",
                    "write host.example, .suffix.example, host.example:8443, or a preset");
}

base::Result<std::string> read_language(const YamlReader& reader, const YamlNode& node,
                                        const HostChecks& host) {
  AIRLOCK_ASSIGN(std::string name, reader.read_text(node, "language"));
  if (name.size() > kNameBytesMax) {
    return base::fail(reader.error(node.at, "the name of the language is too long",
                                   "`airlock languages` lists them"));
  }
  if (host.language) {
    if (const base::Status status = host.language(name); !status) {
      return base::fail(reader.error_at(node.at, status.error()));
    }
  }
  return name;
}

base::Result<std::string> read_image(const YamlReader& reader, const YamlNode& node,
                                     const HostChecks& host) {
  AIRLOCK_ASSIGN(std::string name, reader.read_text(node, "image"));
  if (!host.image) return name;
  auto found = host.image(name);
  if (!found) return base::fail(reader.error_at(node.at, found.error()));
  return found;
}

base::Status read_network(const YamlReader& reader, const YamlNode& node, JobFile& file) {
  static const std::vector<std::string> kKeys = {"allow"};
  AIRLOCK_TRY(reader.check_mapping(node, "network", kKeys));
  AIRLOCK_ASSIGN(const YamlNode* allow, reader.require_key(node, "network", "allow"));
  AIRLOCK_ASSIGN(file.allow, read_texts(reader, *allow, "allow of network", check_host));
  return {};
}

base::Status read_phases(const YamlReader& reader, const YamlNode& root, JobFile& file) {
  AIRLOCK_ASSIGN(const YamlNode* inference, reader.require_key(root, kJobFileName, "inference"));
  AIRLOCK_ASSIGN(file.inference, read_command(reader, *inference, "inference"));
  if (const YamlNode* const prep = root.find("prep")) {
    AIRLOCK_ASSIGN(file.prep, read_command(reader, *prep, "prep"));
  }
  if (const YamlNode* const build = root.find("build")) {
    AIRLOCK_ASSIGN(file.build, read_build(reader, *build));
  }
  return {};
}

}  // namespace

base::Result<JobFile> parse_job_file(std::string_view text, const HostChecks& host) {
  static const std::vector<std::string> kKeys = {
      "language", "image", "build", "prep", "inference", "inputs", "outputs", "limits", "network"};
  if (text.size() > kJobFileBytesMax.count()) {
    return base::fail(
        base::ErrorCode::kLimitExceeded,
        std::string(kJobFileName) + " is larger than " + base::format_byte_count(kJobFileBytesMax));
  }
  AIRLOCK_ASSIGN(const YamlNode root, language::parse_yaml(text, kJobFileName));
  const YamlReader reader(kJobFileName, kJobFileTextBytesMax);
  AIRLOCK_TRY(reader.check_mapping(root, kJobFileName, kKeys));
  JobFile file;
  if (const YamlNode* const name = root.find("language")) {
    AIRLOCK_ASSIGN(file.language, read_language(reader, *name, host));
  }
  if (const YamlNode* const name = root.find("image")) {
    AIRLOCK_ASSIGN(file.image, read_image(reader, *name, host));
  }
  AIRLOCK_TRY(read_phases(reader, root, file));
  if (const YamlNode* const inputs = root.find("inputs")) {
    AIRLOCK_ASSIGN(file.inputs, read_texts(reader, *inputs, "inputs", check_below));
  }
  if (const YamlNode* const outputs = root.find("outputs")) {
    AIRLOCK_ASSIGN(file.outputs, read_texts(reader, *outputs, "outputs", check_below));
  }
  if (const YamlNode* const limits = root.find("limits")) {
    AIRLOCK_ASSIGN(file.limits, read_limits(reader, *limits));
  }
  if (const YamlNode* const network = root.find("network")) {
    AIRLOCK_TRY(read_network(reader, *network, file));
  }
  return file;
}

}  // namespace airlock::source
