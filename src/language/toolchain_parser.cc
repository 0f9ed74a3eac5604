#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "language/language_parser.h"
#include "language/language_table.h"
#include "language/placeholders.h"
#include "model/limits.h"

namespace airlock::language {
namespace {

using base::Result;
using base::Status;

constexpr std::string_view kBinaryDefault = "/workspace/{stem}.bin";

enum class Phase { kCompile, kRun };

// Fills every placeholder that a phase may use with something, to find those that it may not.
Status check_placeholders(const YamlReader& reader, const YamlNode& node,
                          const Toolchain& toolchain) {
  std::vector<PlaceholderValue> values = {
      {kSourcePlaceholder, "/workspace/x"}, {kStemPlaceholder, "x"}, {kMemoryPlaceholder, "1"}};
  if (!toolchain.binary.empty()) values.push_back({kBinaryPlaceholder, "/workspace/y"});
  if (auto filled = fill_placeholders(node.text, values); !filled) {
    return base::fail(reader.error_at(node.at, filled.error()));
  }
  return {};
}

bool has_tool(const Toolchain& toolchain, std::string_view executable) {
  return std::ranges::find(toolchain.tools, executable, &Tool::executable) != toolchain.tools.end();
}

// What may stand first in a command: a declared tool or, for running, what was compiled.
Status check_program(const YamlReader& reader, const YamlNode& word, const Toolchain& toolchain,
                     bool binary_allowed) {
  if (has_tool(toolchain, word.text) || (binary_allowed && word.text == "{binary}")) return {};
  std::vector<std::string> names;
  for (const Tool& tool : toolchain.tools) names.push_back(tool.executable);
  if (binary_allowed) names.emplace_back("{binary}");
  return base::fail(reader.error(word.at, "\"" + word.text + "\" is not among the tools",
                                 "start the command with " + join_names(names)));
}

Result<std::vector<std::string>> read_argv(const YamlReader& reader, const YamlNode& node,
                                           std::string_view what) {
  AIRLOCK_TRY(reader.check_list(node, what, kCommandWordsMax));
  std::vector<std::string> argv;
  for (const YamlNode& item : node.items) {
    AIRLOCK_TRY(reader.check_text(item, "a word of " + std::string(what)));
    argv.push_back(item.text);
  }
  return argv;
}

Status check_phase_words(const YamlReader& reader, const YamlNode& argv, const Toolchain& toolchain,
                         Phase phase) {
  const bool may_run_binary = phase == Phase::kRun && !toolchain.binary.empty();
  AIRLOCK_TRY(check_program(reader, argv.items.front(), toolchain, may_run_binary));
  int arguments = 0;
  for (const YamlNode& item : argv.items) {
    if (item.text == kArgumentsWord) {
      if (phase == Phase::kCompile || ++arguments > 1) {
        return base::fail(
            reader.error(item.at, "\"{args}\" may stand once, in run, and nowhere else"));
      }
      continue;
    }
    AIRLOCK_TRY(check_placeholders(reader, item, toolchain));
  }
  if (phase == Phase::kRun && arguments == 0) {
    return base::fail(reader.error(argv.at, "argv of run lacks the word \"{args}\"",
                                   "put \"{args}\" where the user's arguments belong"));
  }
  return {};
}

// Reads `key` with one of base's parsers, and says where the value stands if that refuses it.
template <typename T>
Status read_unit(const YamlReader& reader, const YamlNode& mapping, std::string_view key,
                 Result<T> (*parse)(std::string_view), std::optional<T>& target) {
  const YamlNode* node = mapping.find(key);
  if (node == nullptr) return {};
  AIRLOCK_TRY(reader.check_text(*node, key));
  Result<T> value = parse(node->text);
  if (!value) return base::fail(reader.error_at(node->at, value.error()));
  target = *value;
  return {};
}

Status read_count(const YamlReader& reader, const YamlNode& mapping, std::string_view key,
                  std::optional<std::uint32_t>& target) {
  const YamlNode* node = mapping.find(key);
  if (node == nullptr) return {};
  AIRLOCK_ASSIGN(target, reader.read_number(*node, key));
  return {};
}

Status check_limits(const YamlReader& reader, YamlPosition at, const model::LimitsGiven& limits) {
  if (auto valid = model::validate(limits.over(model::Limits{})); !valid) {
    return base::fail(reader.error_at(at, valid.error()));
  }
  return {};
}

Result<model::LimitsGiven> read_limits(const YamlReader& reader, const YamlNode& node,
                                       std::string_view what) {
  static const std::vector<std::string> kKeys = {"wall_time", "cpu_time", "memory",
                                                 "pids",      "output",   "open_files"};
  AIRLOCK_TRY(reader.check_mapping(node, what, kKeys));
  model::LimitsGiven limits;
  AIRLOCK_TRY(read_unit(reader, node, "wall_time", base::parse_duration, limits.wall_time));
  AIRLOCK_TRY(read_unit(reader, node, "cpu_time", base::parse_duration, limits.cpu_time));
  AIRLOCK_TRY(read_unit(reader, node, "memory", base::parse_byte_count, limits.memory));
  AIRLOCK_TRY(read_unit(reader, node, "output", base::parse_byte_count, limits.output));
  AIRLOCK_TRY(read_count(reader, node, "pids", limits.pids));
  AIRLOCK_TRY(read_count(reader, node, "open_files", limits.open_files));
  AIRLOCK_TRY(check_limits(reader, node.at, limits));
  return limits;
}

Result<PhaseCommand> read_phase(const YamlReader& reader, const YamlNode& node,
                                const Toolchain& toolchain, Phase phase) {
  static const std::vector<std::string> kCompileKeys = {"argv", "binary", "limits"};
  static const std::vector<std::string> kRunKeys = {"argv", "limits"};
  const std::string what = phase == Phase::kCompile ? "compile" : "run";
  AIRLOCK_TRY(reader.check_mapping(node, what, phase == Phase::kCompile ? kCompileKeys : kRunKeys));
  PhaseCommand command;
  AIRLOCK_ASSIGN(const YamlNode* argv, reader.require_key(node, what, "argv"));
  AIRLOCK_ASSIGN(command.argv, read_argv(reader, *argv, "argv of " + what));
  AIRLOCK_TRY(check_phase_words(reader, *argv, toolchain, phase));
  if (const YamlNode* limits = node.find("limits")) {
    AIRLOCK_ASSIGN(command.limits, read_limits(reader, *limits, "limits of " + what));
  }
  return command;
}

// Where compile puts what it makes: a place that guests can write to.
Result<std::string> read_binary(const YamlReader& reader, const YamlNode& compile) {
  const YamlNode* node = compile.find("binary");
  if (node == nullptr) return std::string(kBinaryDefault);
  AIRLOCK_ASSIGN(std::string binary, reader.read_text(*node, "binary"));
  const std::array<PlaceholderValue, 1> values = {{{kStemPlaceholder, "x"}}};
  if (auto filled = fill_placeholders(binary, values); !filled) {
    return base::fail(reader.error_at(node->at, filled.error()));
  }
  const bool writable = binary.starts_with("/workspace/") || binary.starts_with("/tmp/");
  if (!writable || binary.find("/..") != std::string::npos) {
    return base::fail(reader.error(node->at, "binary must lie below /workspace or /tmp"));
  }
  return binary;
}

Status read_tools(const YamlReader& reader, const YamlNode& node, Toolchain& toolchain) {
  if (node.kind != YamlNode::Kind::kMapping || node.entries.empty()) {
    return base::fail(reader.error(node.at, "tools must be a mapping of executables to packages",
                                   "for example {python3: python3}"));
  }
  if (node.entries.size() > kToolsMax) {
    return base::fail(reader.error(node.at, "more than " + std::to_string(kToolsMax) + " tools"));
  }
  for (const YamlEntry& entry : node.entries) {
    AIRLOCK_ASSIGN(std::string package, reader.read_text(entry.value, "package of " + entry.key));
    if (!is_plain_name(entry.key, "+._-")) {
      return base::fail(reader.error(entry.at, "\"" + entry.key + "\" is not the name of a program",
                                     "use its name without a path"));
    }
    if (!is_plain_name(package, "+.-")) {
      return base::fail(
          reader.error(entry.value.at, "\"" + package + "\" is not the name of a package"));
    }
    toolchain.tools.push_back({entry.key, std::move(package)});
  }
  return {};
}

Status read_version(const YamlReader& reader, const YamlNode& node, std::string_view what,
                    Toolchain& toolchain) {
  AIRLOCK_ASSIGN(const YamlNode* version, reader.require_key(node, what, "version"));
  AIRLOCK_ASSIGN(toolchain.version, read_argv(reader, *version, "version"));
  AIRLOCK_TRY(check_program(reader, version->items.front(), toolchain, false));
  const YamlNode* minimum = node.find("version_min");
  if (minimum == nullptr) return {};
  AIRLOCK_ASSIGN(const std::string text, reader.read_text(*minimum, "version_min"));
  toolchain.version_min = Version::find_in(text);
  if (!toolchain.version_min || toolchain.version_min->to_string() != text) {
    return base::fail(reader.error(minimum->at, "version_min cannot be \"" + text + "\"",
                                   "write numbers with points, for example 22.6"));
  }
  return {};
}

Status read_env(const YamlReader& reader, const YamlNode& node, Toolchain& toolchain) {
  if (node.kind != YamlNode::Kind::kMapping || node.entries.size() > kEnvironmentMax) {
    return base::fail(reader.error(
        node.at, "env must be a mapping of at most " + std::to_string(kEnvironmentMax) + " names"));
  }
  for (const YamlEntry& entry : node.entries) {
    const bool digit_first = entry.key.front() >= '0' && entry.key.front() <= '9';
    if (digit_first || !is_plain_name("x" + entry.key, "_")) {
      return base::fail(reader.error(entry.at,
                                     "\"" + entry.key + "\" is not the name of a variable",
                                     "use letters, digits and _"));
    }
    AIRLOCK_TRY(reader.check_text(entry.value, entry.key));
    toolchain.env.push_back(entry.key + "=" + entry.value.text);
  }
  return {};
}

Status read_workspace(const YamlReader& reader, const YamlNode& node, Toolchain& toolchain) {
  AIRLOCK_TRY(read_unit(reader, node, "disk", base::parse_byte_count, toolchain.disk));
  AIRLOCK_TRY(read_count(reader, node, "inodes", toolchain.inodes));
  model::LimitsGiven limits;
  limits.disk = toolchain.disk;
  limits.inodes = toolchain.inodes;
  return check_limits(reader, node.at, limits);
}

}  // namespace

Result<Toolchain> parse_toolchain(const YamlReader& reader, const YamlNode& node,
                                  std::string_view what) {
  static const std::vector<std::string> kKeys = {"name", "tools",  "version", "version_min", "env",
                                                 "disk", "inodes", "compile", "run"};
  AIRLOCK_TRY(reader.check_mapping(node, what, kKeys));
  Toolchain toolchain;
  AIRLOCK_ASSIGN(const YamlNode* name, reader.require_key(node, what, "name"));
  AIRLOCK_ASSIGN(toolchain.name, reader.read_text(*name, "name of " + std::string(what)));
  AIRLOCK_ASSIGN(const YamlNode* tools, reader.require_key(node, what, "tools"));
  AIRLOCK_TRY(read_tools(reader, *tools, toolchain));
  AIRLOCK_TRY(read_version(reader, node, what, toolchain));
  if (const YamlNode* env = node.find("env")) AIRLOCK_TRY(read_env(reader, *env, toolchain));
  AIRLOCK_TRY(read_workspace(reader, node, toolchain));
  if (const YamlNode* compile = node.find("compile")) {
    if (compile->kind == YamlNode::Kind::kMapping) {
      AIRLOCK_ASSIGN(toolchain.binary, read_binary(reader, *compile));
    }
    AIRLOCK_ASSIGN(toolchain.compile, read_phase(reader, *compile, toolchain, Phase::kCompile));
  }
  AIRLOCK_ASSIGN(const YamlNode* run, reader.require_key(node, what, "run"));
  AIRLOCK_ASSIGN(toolchain.run, read_phase(reader, *run, toolchain, Phase::kRun));
  return toolchain;
}

}  // namespace airlock::language
