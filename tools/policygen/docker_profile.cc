#include "docker_profile.h"

#include <boost/json.hpp>
#include <cerrno>
#include <map>
#include <set>
#include <vector>

namespace airlock::policygen {
namespace {

namespace json = boost::json;

constexpr const char* kAllow = "SCMP_ACT_ALLOW";
constexpr const char* kErrno = "SCMP_ACT_ERRNO";
constexpr const char* kMaskedEqual = "SCMP_CMP_MASKED_EQ";

bool lets_pass(const Action& action) {
  return action.kind == ActionKind::kAllow || action.kind == ActionKind::kTell;
}
int answer_of(const Action& action) {
  return action.kind == ActionKind::kReport ? EPERM : action.error_number;
}

struct ArgumentTest {
  std::uint8_t argument;
  std::uint32_t mask;
  std::uint32_t value;
  auto operator<=>(const ArgumentTest&) const = default;
};
using Way = std::vector<ArgumentTest>;  // all hold; one without tests is any call
using Ways = std::set<Way>;

// Every choice of one value for each condition.
Ways ways_of(const CallCase& call_case) {
  Ways ways = {{}};
  for (const ArgumentCondition& condition : call_case.when) {
    Ways longer;
    for (const Way& way : ways) {
      for (const std::uint32_t value : condition.values) {
        Way with = way;
        with.push_back({condition.argument, condition.mask, value});
        longer.insert(std::move(with));
      }
    }
    ways = std::move(longer);
  }
  return ways;
}

struct Verdict {
  Ways passes;
  int answer = ENOSYS;  // where nothing passes
};

std::map<std::string, Verdict> collect(std::span<const Profile> profiles) {
  std::map<std::string, Verdict> verdicts;
  for (const Profile& profile : profiles) {
    for (const auto& [number, call] : profile.calls) {
      Verdict& verdict = verdicts[call.name];
      verdict.answer = answer_of(call.cases.back().action);
      for (const CallCase& call_case : call.cases) {
        if (lets_pass(call_case.action)) verdict.passes.merge(ways_of(call_case));
      }
    }
  }
  return verdicts;
}

// The kernel reads these arguments as 32 bits, so what lies above is always masked out.
json::array write_arguments(const Way& way) {
  json::array arguments;
  for (const ArgumentTest& test : way) {
    arguments.push_back({{"index", test.argument},
                         {"value", test.mask},
                         {"valueTwo", test.value},
                         {"op", kMaskedEqual}});
  }
  return arguments;
}

std::string docker_name(const Architecture& architecture) {
  std::string name = "SCMP_ARCH_";
  for (const char c : architecture.name) name += c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c;
  return name;
}

}  // namespace

std::string write_docker_profile(std::span<const Profile> profiles,
                                 const Architecture& architecture) {
  json::array always;
  std::map<int, json::array> never;
  json::array entries;
  for (const auto& [name, verdict] : collect(profiles)) {
    if (verdict.passes.contains({})) {
      always.emplace_back(name);
    } else if (verdict.passes.empty()) {
      never[verdict.answer].emplace_back(name);
    } else {
      for (const Way& way : verdict.passes) {
        entries.push_back(
            {{"names", json::array{name}}, {"action", kAllow}, {"args", write_arguments(way)}});
      }
    }
  }
  entries.push_back({{"names", std::move(always)}, {"action", kAllow}});
  for (auto& [answer, names] : never) {
    entries.push_back({{"names", std::move(names)}, {"action", kErrno}, {"errnoRet", answer}});
  }
  const json::object arch = {{"architecture", docker_name(architecture)},
                             {"subArchitectures", json::array()}};
  const json::object profile = {{"defaultAction", kErrno},
                                {"defaultErrnoRet", ENOSYS},
                                {"archMap", json::array{arch}},
                                {"syscalls", std::move(entries)}};
  return json::serialize(profile);
}

}  // namespace airlock::policygen
