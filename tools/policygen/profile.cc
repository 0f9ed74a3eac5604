#include "profile.h"

#include <linux/audit.h>
#include <seccomp.h>

#include <charconv>
#include <set>
#include <string_view>

#include "constants.h"
#include "names.h"
#include "yaml_reader.h"

namespace airlock::policygen {

using base::Result;
using base::Status;

namespace {

constexpr int kExtendsDepthMax = 4;
constexpr std::uint32_t kX32NumbersFrom = 0x40000000;  // __X32_SYSCALL_BIT

std::vector<std::string_view> names_of(std::span<const NamedConstant> constants) {
  std::vector<std::string_view> names;
  for (const NamedConstant& constant : constants) names.push_back(constant.name);
  return names;
}

// Every name libseccomp knows, for suggestions.
std::vector<std::string> known_call_names(const Architecture& architecture) {
  constexpr int kNumbersMax = 1024;
  std::vector<std::string> names;
  for (int number = 0; number < kNumbersMax; ++number) {
    char* name = seccomp_syscall_resolve_num_arch(architecture.seccomp_arch, number);
    if (name != nullptr) names.emplace_back(name);
    std::free(name);
  }
  return names;
}

Result<std::uint32_t> read_number(const YamlFile& file, const YAML::Node& node,
                                  std::string_view text) {
  std::uint32_t value = 0;
  const bool hexadecimal = text.starts_with("0x");
  const std::string_view digits = hexadecimal ? text.substr(2) : text;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, hexadecimal ? 16 : 10);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return base::fail(
        yaml_error(file, node, "'" + std::string(text) + "' is not a number that fits 32 bits"));
  }
  return value;
}

// "A|B|0x10": numbers and constants joined by `|`.
Result<std::uint32_t> read_constant(const YamlFile& file, const YAML::Node& node) {
  AIRLOCK_ASSIGN(const std::string text, scalar_text(file, node));
  std::uint32_t value = 0;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('|', begin), text.size());
    const std::string_view word = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (!word.empty() && word[0] >= '0' && word[0] <= '9') {
      AIRLOCK_ASSIGN(const std::uint32_t number, read_number(file, node, word));
      value |= number;
      continue;
    }
    const auto constant = find_constant(argument_constants(), word);
    if (!constant) {
      const std::string hint = suggest_name(word, names_of(argument_constants()));
      return base::fail(
          yaml_error(file, node, "unknown constant '" + std::string(word) + "'" + hint));
    }
    value |= *constant;
  }
  return value;
}

Result<Action> read_action(const YamlFile& file, const YamlMap& map, std::string_view key) {
  AIRLOCK_ASSIGN(const std::string text, map.text(key));
  if (text == "allow") return Action{ActionKind::kAllow, 0};
  if (text == "report") return Action{ActionKind::kReport, 0};
  if (text == "tell") return Action{ActionKind::kTell, 0};
  if (text == "ignore") return Action{ActionKind::kErrno, 0};
  if (const auto number = find_constant(errno_constants(), text)) {
    return Action{ActionKind::kErrno, static_cast<int>(*number)};
  }
  std::vector<std::string_view> valid = names_of(errno_constants());
  valid.insert(valid.end(), {"allow", "report", "tell", "ignore"});
  return base::fail(
      yaml_error(file, map.node(key), "unknown action '" + text + "'" + suggest_name(text, valid)));
}

Result<ArgumentCondition> read_condition(const YamlFile& file, const YAML::Node& node) {
  AIRLOCK_ASSIGN(const YamlMap map, YamlMap::open(file, node, {"argument", "mask", "in"}));
  ArgumentCondition condition;
  AIRLOCK_ASSIGN(const std::string argument, map.text("argument"));
  if (argument.size() != 1 || argument[0] < '0' || argument[0] > '5') {
    return base::fail(yaml_error(file, map.node("argument"), "an argument is 0 to 5"));
  }
  condition.argument = static_cast<std::uint8_t>(argument[0] - '0');
  if (map.has("mask")) { AIRLOCK_ASSIGN(condition.mask, read_constant(file, map.node("mask"))); }
  AIRLOCK_ASSIGN(const auto values, map.sequence("in"));
  for (const YAML::Node& item : values) {
    AIRLOCK_ASSIGN(const std::uint32_t value, read_constant(file, item));
    if ((value & ~condition.mask) != 0) {
      return base::fail(yaml_error(file, item, "has bits outside the mask, so it never matches"));
    }
    condition.values.push_back(value);
  }
  return condition;
}

// The keys that a rule and its cases share.
Status read_answer(const YamlFile& file, const YamlMap& map, CallCase& result) {
  AIRLOCK_ASSIGN(result.action, read_action(file, map, "action"));
  AIRLOCK_ASSIGN(result.reason, map.text("reason"));
  AIRLOCK_ASSIGN(result.what, map.optional_text("what"));
  AIRLOCK_ASSIGN(result.fix, map.optional_text("fix"));
  if (result.action.kind == ActionKind::kReport && result.fix.empty()) {
    return base::fail(map.error("what is reported needs a 'fix' for the user"));
  }
  return {};
}

Result<std::vector<CallCase>> read_cases(const YamlFile& file, const YamlMap& rule) {
  std::vector<CallCase> cases;
  AIRLOCK_ASSIGN(const std::string rule_name, rule.text("rule"));
  if (rule.has("cases")) {
    AIRLOCK_ASSIGN(const auto items, rule.sequence("cases"));
    for (const YAML::Node& item : items) {
      AIRLOCK_ASSIGN(const YamlMap map,
                     YamlMap::open(file, item, {"when", "action", "what", "reason", "fix"}));
      CallCase read{.rule = rule_name};
      AIRLOCK_ASSIGN(const auto conditions, map.sequence("when"));
      for (const YAML::Node& node : conditions) {
        AIRLOCK_ASSIGN(ArgumentCondition condition, read_condition(file, node));
        read.when.push_back(std::move(condition));
      }
      AIRLOCK_TRY(read_answer(file, map, read));
      cases.push_back(std::move(read));
    }
  }
  CallCase otherwise{.rule = rule_name};
  AIRLOCK_TRY(read_answer(file, rule, otherwise));
  cases.push_back(std::move(otherwise));
  return cases;
}

// The number of a call; nothing for one that exists on other architectures only.
Result<std::optional<std::uint32_t>> resolve_call(const YamlFile& file, const YAML::Node& node,
                                                  const Profile& profile,
                                                  const Architecture& architecture) {
  AIRLOCK_ASSIGN(const std::string name, scalar_text(file, node));
  if (const auto extra = profile.extra_calls.find(name); extra != profile.extra_calls.end()) {
    return std::optional(extra->second);
  }
  const int number = seccomp_syscall_resolve_name_arch(architecture.seccomp_arch, name.c_str());
  if (number >= 0) return std::optional(static_cast<std::uint32_t>(number));
  if (number != __NR_SCMP_ERROR) return std::optional<std::uint32_t>();
  const std::vector<std::string> known = known_call_names(architecture);
  std::vector<std::string_view> valid(known.begin(), known.end());
  for (const auto& [extra_name, unused] : profile.extra_calls) valid.push_back(extra_name);
  return base::fail(
      yaml_error(file, node, "unknown system call '" + name + "'" + suggest_name(name, valid)));
}

Status read_rule(const YamlFile& file, const YAML::Node& node, const Architecture& architecture,
                 std::set<std::uint32_t>& decided, Profile& profile) {
  AIRLOCK_ASSIGN(
      const YamlMap rule,
      YamlMap::open(file, node, {"rule", "calls", "action", "what", "reason", "fix", "cases"}));
  AIRLOCK_ASSIGN(const std::vector<CallCase> cases, read_cases(file, rule));
  AIRLOCK_ASSIGN(const auto calls, rule.sequence("calls"));
  for (const YAML::Node& item : calls) {
    AIRLOCK_ASSIGN(const auto number, resolve_call(file, item, profile, architecture));
    if (!number) continue;
    if (!decided.insert(*number).second) {
      return base::fail(
          yaml_error(file, item, "'" + item.Scalar() + "' is decided by another rule already"));
    }
    Call call{item.Scalar(), cases};
    for (CallCase& call_case : call.cases) {
      if (call_case.what.empty()) call_case.what = call.name;
    }
    profile.calls.insert_or_assign(*number, std::move(call));
  }
  return {};
}

Status read_extra_calls(const YamlFile& file, const YamlMap& map, const Architecture& architecture,
                        Profile& profile) {
  if (!map.has("extra_calls")) return {};
  const YAML::Node extra = map.node("extra_calls");
  if (!extra.IsMap()) return base::fail(yaml_error(file, extra, "a mapping is expected here"));
  for (const auto& entry : extra) {
    AIRLOCK_ASSIGN(const std::string name, scalar_text(file, entry.first));
    AIRLOCK_ASSIGN(const YamlMap numbers, YamlMap::open(file, entry.second, {"x86_64", "aarch64"}));
    if (!numbers.has(architecture.name)) continue;
    AIRLOCK_ASSIGN(const std::string text, numbers.text(architecture.name));
    AIRLOCK_ASSIGN(const std::uint32_t number,
                   read_number(file, numbers.node(architecture.name), text));
    if (!profile.extra_calls.emplace(name, number).second) {
      return base::fail(yaml_error(file, entry.first, "'" + name + "' appears twice"));
    }
  }
  return {};
}

// What only a profile that extends no other must say.
Status read_defaults(const YamlFile& file, const YamlMap& map, Profile& profile) {
  AIRLOCK_ASSIGN(profile.unknown, read_action(file, map, "unknown"));
  if (!map.has("foreign")) return base::fail(map.error("key 'foreign' is missing"));
  AIRLOCK_ASSIGN(const YamlMap foreign,
                 YamlMap::open(file, map.node("foreign"), {"reason", "fix"}));
  AIRLOCK_ASSIGN(profile.foreign_reason, foreign.text("reason"));
  AIRLOCK_ASSIGN(profile.foreign_fix, foreign.text("fix"));
  return {};
}

Result<Profile> load_at_depth(const std::string& folder, const std::string& name,
                              const Architecture& architecture, int depth) {
  AIRLOCK_ASSIGN(const YamlFile file, load_yaml(folder + "/" + name + ".yaml"));
  AIRLOCK_ASSIGN(const YamlMap map, YamlMap::open(file, file.root,
                                                  {"profile", "extends", "unknown", "foreign",
                                                   "extra_calls", "rules"}));
  AIRLOCK_ASSIGN(const std::string stated_name, map.text("profile"));
  if (stated_name != name) {
    return base::fail(yaml_error(file, map.node("profile"), "must be the file's name, " + name));
  }
  Profile profile;
  if (map.has("extends")) {
    if (depth >= kExtendsDepthMax) return base::fail(map.error("extends too many others"));
    AIRLOCK_ASSIGN(const std::string parent, map.text("extends"));
    AIRLOCK_ASSIGN(profile, load_at_depth(folder, parent, architecture, depth + 1));
  } else {
    AIRLOCK_TRY(read_defaults(file, map, profile));
  }
  profile.name = name;
  AIRLOCK_TRY(read_extra_calls(file, map, architecture, profile));
  AIRLOCK_ASSIGN(const auto rules, map.sequence("rules"));
  std::set<std::uint32_t> decided;
  for (const YAML::Node& rule : rules) {
    AIRLOCK_TRY(read_rule(file, rule, architecture, decided, profile));
  }
  return profile;
}

}  // namespace

const Architecture& native_architecture() {
#if defined(__x86_64__)
  static const Architecture architecture{"x86_64", AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64,
                                         kX32NumbersFrom};
#elif defined(__aarch64__)
  static const Architecture architecture{"aarch64", AUDIT_ARCH_AARCH64, SCMP_ARCH_AARCH64, 0};
#else
#error "no seccomp profile for this architecture"
#endif
  return architecture;
}

Result<Profile> load_profile(const std::string& folder, const std::string& name,
                             const Architecture& architecture) {
  return load_at_depth(folder, name, architecture, 0);
}

}  // namespace airlock::policygen
