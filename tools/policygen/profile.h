// A seccomp profile as policies/seccomp/*.yaml states it, with names resolved for one architecture.
//
// load_profile() refuses anything that it does not understand completely: unknown keys, calls,
// constants and actions, a rule without a reason, a call that two rules of one file decide. A
// profile that `extends` another starts as a copy of it; its rules take the place of the other's,
// call by call.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace airlock::policygen {

enum class ActionKind {
  kAllow,
  kReport,  // EPERM, and known to the keeper
  kTell,    // the kernel does it once the keeper knows
  kErrno,   // error_number; 0 pretends success
};

struct Action {
  ActionKind kind = ActionKind::kErrno;
  int error_number = 0;
  bool operator==(const Action&) const = default;
};

// Holds when (low 32 bits of the argument & mask) is one of the values.
struct ArgumentCondition {
  std::uint8_t argument = 0;
  std::uint32_t mask = 0xffffffff;
  std::vector<std::uint32_t> values;
};

// The action of the first case whose conditions all hold is taken.
struct CallCase {
  std::vector<ArgumentCondition> when{};
  Action action{};
  std::string rule{};    // name of the rule, "mounting"
  std::string what{};    // what is reported, "socket(AF_PACKET)"
  std::string reason{};  // never empty
  std::string fix{};     // never empty when the action is kReport
};

struct Call {
  std::string name;
  std::vector<CallCase> cases;  // the last one has no conditions
};

struct Profile {
  std::string name;
  Action unknown;
  std::string foreign_reason;
  std::string foreign_fix;
  std::map<std::uint32_t, Call> calls;               // by number
  std::map<std::string, std::uint32_t> extra_calls;  // names that libseccomp lacks
};

struct Architecture {
  std::string name;                // as the yaml and uname say it: "x86_64"
  std::uint32_t audit_arch = 0;    // AUDIT_ARCH_*
  std::uint32_t seccomp_arch = 0;  // SCMP_ARCH_*
  // Numbers from here on belong to another table in the same architecture (x32); 0: none do.
  std::uint32_t foreign_numbers_from = 0;
};

const Architecture& native_architecture();

// Reads FOLDER/NAME.yaml and what it extends, at most a few levels deep.
base::Result<Profile> load_profile(const std::string& folder, const std::string& name,
                                   const Architecture& architecture);

}  // namespace airlock::policygen
