#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "docker_profile.h"
#include "emit.h"
#include "program.h"
#include "yaml_reader.h"

namespace airlock::policygen {
namespace {

const std::string kPolicies = std::string(AIRLOCK_TEST_SOURCE_DIR) + "/policies";

Profile load_committed(const std::string& name) {
  auto profile = load_profile(kPolicies + "/seccomp", name, native_architecture());
  if (!profile.has_value()) {
    ADD_FAILURE() << profile.error().to_string();
    std::abort();
  }
  return *std::move(profile);
}

// A folder with one profile, p.yaml.
class ProfileText {
 public:
  explicit ProfileText(const std::string& text) {
    std::string pattern = (std::filesystem::temp_directory_path() / "policygenXXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    std::ofstream(folder_ + "/p.yaml") << text;
  }
  ~ProfileText() { std::filesystem::remove_all(folder_); }
  ProfileText(const ProfileText&) = delete;
  ProfileText& operator=(const ProfileText&) = delete;

  base::Result<Profile> load() const { return load_profile(folder_, "p", native_architecture()); }
  // The message without the folder.
  std::string error() const {
    const auto profile = load();
    return profile.has_value() ? "" : profile.error().message.substr(folder_.size() + 1);
  }

 private:
  std::string folder_;
};

// The first six lines of a profile; the rules begin at line 7.
std::string with_rules(const std::string& rules) {
  return "profile: p\nunknown: ENOSYS\nforeign:\n  reason: r\n  fix: f\nrules:\n" + rules;
}

// What the kernel does with a classic BPF program, for the instructions that occur.
std::uint32_t interpret(const std::vector<sock_filter>& program, const seccomp_data& data) {
  std::uint32_t accumulator = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& now = program[at];
    switch (now.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        EXPECT_LE(now.k + 4, sizeof(data));
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + now.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K: accumulator &= now.k; break;
      case BPF_JMP | BPF_JA: at += now.k; break;
      case BPF_JMP | BPF_JEQ | BPF_K: at += accumulator == now.k ? now.jt : now.jf; break;
      case BPF_JMP | BPF_JGE | BPF_K: at += accumulator >= now.k ? now.jt : now.jf; break;
      case BPF_JMP | BPF_JGT | BPF_K: at += accumulator > now.k ? now.jt : now.jf; break;
      case BPF_RET | BPF_K: return now.k;
      default: ADD_FAILURE() << "instruction " << now.code; return 0;
    }
  }
  ADD_FAILURE() << "the program runs over its end";
  return 0;
}

// What the profile says, read straight from its rules.
std::uint32_t expected_answer(const Profile& profile, const seccomp_data& data, Variant variant) {
  const auto call = profile.calls.find(static_cast<std::uint32_t>(data.nr));
  if (call == profile.calls.end()) return return_value(profile.unknown, variant);
  for (const CallCase& call_case : call->second.cases) {
    const bool holds = std::ranges::all_of(call_case.when, [&](const ArgumentCondition& condition) {
      const auto low_half = static_cast<std::uint32_t>(data.args[condition.argument]);
      return std::ranges::count(condition.values, low_half & condition.mask) > 0;
    });
    if (holds) return return_value(call_case.action, variant);
  }
  ADD_FAILURE() << "no case left for " << call->second.name;
  return 0;
}

// Every value that some rule compares with, and neighbours of none of them.
std::vector<std::uint32_t> interesting_values(const Profile& profile) {
  std::vector<std::uint32_t> values{0, 1, 0x7fffffff, 0xffffffff};
  for (const auto& [number, call] : profile.calls) {
    for (const CallCase& call_case : call.cases) {
      for (const ArgumentCondition& condition : call_case.when) {
        values.insert(values.end(), condition.values.begin(), condition.values.end());
        for (const std::uint32_t value : condition.values)
          values.push_back(value | ~condition.mask);
      }
    }
  }
  return values;
}

class CommittedProfileTest : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Profiles, CommittedProfileTest, testing::Values("default", "gpu"));

TEST_P(CommittedProfileTest, EveryRuleHasAReasonAndEveryReportAFix) {
  for (const auto& [number, call] : load_committed(GetParam()).calls) {
    ASSERT_FALSE(call.cases.empty()) << call.name;
    EXPECT_TRUE(call.cases.back().when.empty()) << call.name;
    for (const CallCase& call_case : call.cases) {
      EXPECT_GT(call_case.reason.size(), 5u) << call.name;
      EXPECT_FALSE(call_case.rule.empty()) << call.name;
      EXPECT_FALSE(call_case.what.empty()) << call.name;
      if (call_case.action.kind == ActionKind::kReport) {
        EXPECT_FALSE(call_case.fix.empty()) << call.name;
      }
    }
  }
}

TEST_P(CommittedProfileTest, EveryCallThatLibseccompKnowsIsDecided) {
  const Profile profile = load_committed(GetParam());
  for (std::uint32_t number = 0; number < 470; ++number) {
    char* name = seccomp_syscall_resolve_num_arch(native_architecture().seccomp_arch,
                                                  static_cast<int>(number));
    if (name != nullptr) EXPECT_TRUE(profile.calls.contains(number)) << name << " " << number;
    std::free(name);
  }
}

TEST_P(CommittedProfileTest, ProgramAnswersAsTheRulesSay) {
  const Profile profile = load_committed(GetParam());
  const std::vector<std::uint32_t> values = interesting_values(profile);
  std::mt19937 random(1);
  const auto pick = [&]() -> std::uint64_t {
    return (std::uint64_t{random()} << 32) | values[random() % values.size()];
  };
  for (const Variant variant : {Variant::kReport, Variant::kPlain}) {
    const auto program = compile_profile(profile, native_architecture(), variant);
    for (int number = 0; number < 1000; ++number) {
      for (int round = 0; round < 400; ++round) {
        seccomp_data data{};
        data.nr = number;
        data.arch = native_architecture().audit_arch;
        for (auto& argument : data.args) argument = pick();
        ASSERT_EQ(interpret(program, data), expected_answer(profile, data, variant))
            << "number " << number << " " << data.args[0] << " " << data.args[1];
      }
    }
  }
}

TEST_P(CommittedProfileTest, ForeignCallsAreReportedOrKilled) {
  const Profile profile = load_committed(GetParam());
  const Architecture& native = native_architecture();
  const auto report = compile_profile(profile, native, Variant::kReport);
  const auto plain = compile_profile(profile, native, Variant::kPlain);
  seccomp_data call{};
  call.arch = AUDIT_ARCH_I386;
  EXPECT_EQ(interpret(report, call), SECCOMP_RET_USER_NOTIF);
  EXPECT_EQ(interpret(plain, call), SECCOMP_RET_KILL_PROCESS);
  call.arch = native.audit_arch;
  call.nr = static_cast<int>(native.foreign_numbers_from);
  if (native.foreign_numbers_from != 0) {
    EXPECT_EQ(interpret(report, call), SECCOMP_RET_USER_NOTIF);
    EXPECT_EQ(interpret(plain, call), SECCOMP_RET_KILL_PROCESS);
    call.nr = static_cast<int>(native.foreign_numbers_from - 1);
    EXPECT_EQ(interpret(plain, call), SECCOMP_RET_ERRNO | ENOSYS);
  }
  call.nr = -1;
  EXPECT_EQ(interpret(plain, call), SECCOMP_RET_ERRNO | ENOSYS);
}

// The kernel translates every instruction at the start of each sandbox.
TEST_P(CommittedProfileTest, ProgramIsShort) {
  const Profile profile = load_committed(GetParam());
  const auto program = compile_profile(profile, native_architecture(), Variant::kReport);
  RecordProperty("instructions", static_cast<int>(program.size()));
  std::printf("profile %s: %zu instructions\n", GetParam(), program.size());
  EXPECT_LT(program.size(), 350u);
}

TEST(ProfileTest, GpuChangesOnlyWhatItNames) {
  const Profile base = load_committed("default");
  const Profile gpu = load_committed("gpu");
  EXPECT_EQ(base.calls.size(), gpu.calls.size());
  for (const char* name : {"ptrace", "mount", "bpf", "unshare", "clone", "ioctl", "read"}) {
    const int number = seccomp_syscall_resolve_name(name);
    const auto same = [&](const Profile& profile) {
      return profile.calls.at(static_cast<std::uint32_t>(number)).cases.back().action;
    };
    EXPECT_EQ(same(base), same(gpu)) << name;
  }
}

TEST(ProfileTest, MistakesAreNamedWithTheirPlaceAndTheNearestName) {
  EXPECT_EQ(
      ProfileText(with_rules("  - rule: x\n    calls: [raed]\n    action: allow\n    reason: r\n"))
          .error(),
      "p.yaml:8:13: unknown system call 'raed', did you mean 'read'?");
  EXPECT_EQ(
      ProfileText(with_rules("  - rule: x\n    calls: [read]\n    action: alow\n    reason: r\n"))
          .error(),
      "p.yaml:9:13: unknown action 'alow', did you mean 'allow'?");
  EXPECT_EQ(
      ProfileText(with_rules("  - rule: x\n    calls: [read]\n    action: allow\n    raeson: r\n"))
          .error(),
      "p.yaml:10:5: unknown key 'raeson', did you mean 'reason'?");
  EXPECT_EQ(ProfileText(with_rules("  - rule: x\n    calls: [read]\n    action: allow\n")).error(),
            "p.yaml:7:5: key 'reason' is missing");
  EXPECT_EQ(ProfileText(
                with_rules("  - rule: x\n    calls: [mount]\n    action: report\n    reason: r\n"))
                .error(),
            "p.yaml:7:5: what is reported needs a 'fix' for the user");
  EXPECT_EQ(
      ProfileText(with_rules("  - {rule: x, calls: [read, read], action: allow, reason: r}\n"))
          .error(),
      "p.yaml:7:29: 'read' is decided by another rule already");
  EXPECT_EQ(
      ProfileText(
          with_rules("  - {rule: x, calls: [read], calls: [write], action: allow, reason: r}\n"))
          .error(),
      "p.yaml:7:30: key 'calls' appears twice");
}

TEST(ProfileTest, ImpossibleConditionsAreRefused) {
  const auto with_condition = [](const std::string& condition) {
    return ProfileText(
               with_rules("  - rule: x\n    calls: [socket]\n    action: EPERM\n    reason: r\n"
                          "    cases:\n      - when: [" +
                          condition + "]\n        action: allow\n        reason: r\n"))
        .error();
  };
  EXPECT_EQ(with_condition("{argument: 0, in: [AF_UNIX]}"), "");
  EXPECT_EQ(with_condition("{argument: 0, mask: 1, in: [2]}"),
            "p.yaml:12:44: has bits outside the mask, so it never matches");
  EXPECT_EQ(with_condition("{argument: 6, in: [2]}"), "p.yaml:12:27: an argument is 0 to 5");
  EXPECT_EQ(with_condition("{argument: 0, in: [0x100000000]}"),
            "p.yaml:12:35: '0x100000000' is not a number that fits 32 bits");
  EXPECT_EQ(with_condition("{argument: 0, in: [AF_UNXI]}"),
            "p.yaml:12:35: unknown constant 'AF_UNXI', did you mean 'AF_UNIX'?");
}

TEST(ProfileTest, CallsOfOtherArchitecturesArePassedOver) {
  const auto profile =
      ProfileText(
          with_rules("  - {rule: x, calls: [socketcall, read], action: allow, reason: r}\n"))
          .load();
  ASSERT_TRUE(profile.has_value());
  EXPECT_EQ(profile->calls.size(), 1u);
}

TEST(ProfileTest, BrokenYamlIsAnErrorWithItsPlace) {
  EXPECT_TRUE(ProfileText("profile: [").error().starts_with("p.yaml:1:"))
      << ProfileText("profile: [").error();
  EXPECT_EQ(ProfileText("[]").error(), "p.yaml:1:1: a mapping is expected here");
}

// What the container runtime does with one call.
bool docker_allows(const boost::json::value& profile, const std::string& name,
                   const seccomp_data& data) {
  const auto holds = [&](const boost::json::value& test) {
    EXPECT_EQ(test.at("op").as_string(), "SCMP_CMP_MASKED_EQ");
    const std::uint64_t argument = data.args[test.at("index").to_number<std::size_t>()];
    return (argument & test.at("value").to_number<std::uint64_t>()) ==
           test.at("valueTwo").to_number<std::uint64_t>();
  };
  return std::ranges::any_of(profile.at("syscalls").as_array(), [&](const auto& entry) {
    const auto& names = entry.at("names").as_array();
    const auto* const arguments = entry.as_object().if_contains("args");
    return entry.at("action").as_string() == "SCMP_ACT_ALLOW" &&
           std::ranges::count(names, boost::json::value(name)) > 0 &&
           (arguments == nullptr || std::ranges::all_of(arguments->as_array(), holds));
  });
}

TEST(DockerProfileTest, IsNeverNarrowerThanAProfileAndHasNoCallThatNoneHas) {
  const Profile profiles[] = {load_committed("default"), load_committed("gpu")};
  const auto docker = boost::json::parse(write_docker_profile(profiles, native_architecture()));
  EXPECT_EQ(docker.at("defaultAction").as_string(), "SCMP_ACT_ERRNO");
  std::mt19937 random(5);
  for (const Profile& profile : profiles) {
    const auto values = interesting_values(profile);
    for (const auto& [number, call] : profile.calls) {
      for (int i = 0; i < 200; ++i) {
        seccomp_data data{};
        data.nr = static_cast<int>(number);
        for (auto& argument : data.args) {
          argument = values[random() % values.size()] | (std::uint64_t{random()} << 32);
        }
        if (expected_answer(profile, data, Variant::kPlain) != SECCOMP_RET_ALLOW) continue;
        EXPECT_TRUE(docker_allows(docker, call.name, data)) << call.name;
      }
    }
  }
  for (const char* name : {"mount", "bpf", "setns", "io_uring_setup", "ptrace", "clone3"}) {
    EXPECT_FALSE(docker_allows(docker, name, {})) << name;
  }
  seccomp_data new_namespace{};
  new_namespace.args[0] = 0x10000000;  // CLONE_NEWUSER
  EXPECT_FALSE(docker_allows(docker, "unshare", new_namespace));
  EXPECT_FALSE(docker_allows(docker, "clone", new_namespace));
}

TEST(HostViewTest, CommittedViewNamesNothingSecret) {
  const auto view = load_host_view(kPolicies + "/host-view.yaml");
  ASSERT_TRUE(view.has_value()) << view.error().to_string();
  for (const ViewEntry& entry : view->etc) {
    for (const char* secret :
         {"/etc/ssl", "/etc/ssl/private", "/etc/shadow", "/etc/ssh", "/etc/npmrc", "/etc/pip.conf",
          "/etc/fstab", "/etc", "/etc/php", "/etc/environment"}) {
      EXPECT_NE(entry.path, secret);
    }
  }
  for (const ViewEntry& entry : view->proc_masks) {
    for (const char* read_by_runtimes :
         {"/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/uptime",
          "/proc/loadavg", "/proc/sys"}) {
      EXPECT_NE(entry.path, read_by_runtimes);
    }
  }
}

TEST(EmitTest, QuotedTextSurvivesTheCompiler) {
  EXPECT_EQ(quote("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
  EXPECT_EQ(quote(std::string_view("\x01"
                                   "7\xc3",
                                   3)),
            "\"\\0017\\303\"");
}

}  // namespace
}  // namespace airlock::policygen
