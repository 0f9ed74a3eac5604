// The messages about workspaces that outlive their callers, beside those of wire.h.
//
//   caller -> launcher  kOpenWorkspace (with a name) kAdoptWorkspace kDiscardWorkspace
//                       kListWorkspaces  fd: the other end of a new channel, for the answer
//   launcher -> caller  kWorkspaceAnswer kWorkspaceNames  on that channel
//   launcher -> keeper  kAdoptWorkspace(fd) kDiscardWorkspace  on the socket that bears the name;
//                       kWorkspaceAnswer says that the latter was heard
//   keeper -> caller    kAdopted kAdoptedProcess(fd)*  before anything else
//   caller -> keeper    kForgetProcess kEndWorkspace
#pragma once

#include <cstdint>
#include <string_view>

#include "jail/wire.h"

namespace airlock::jail {

// To the keeper of a workspace with a name, that which is spoken to: fd is its new caller.
struct AdoptWorkspace {
  static constexpr MessageType kType = MessageType::kAdoptWorkspace;
  std::string_view name;
  void visit(auto& a) { a(name); }
};

// Ends a workspace whatever its keeper does; the channel closes when nothing of it is left.
struct DiscardWorkspace {
  static constexpr MessageType kType = MessageType::kDiscardWorkspace;
  std::string_view name;
  void visit(auto& a) { a(name); }
};

struct ListWorkspaces {
  static constexpr MessageType kType = MessageType::kListWorkspaces;
  void visit(auto&) {}
};

// Those with a name whose keepers live.
struct WorkspaceNames {
  static constexpr MessageType kType = MessageType::kWorkspaceNames;
  StringList names;
  void visit(auto& a) { a(names); }
};

// 0: done. EINVAL: not a name; EEXIST: it lives; ENOENT: it does not; EDQUOT: too many have names;
// EAGAIN: its keeper does not listen; else what could not be made.
struct WorkspaceAnswer {
  static constexpr MessageType kType = MessageType::kWorkspaceAnswer;
  std::int32_t os_errno = 0;
  void visit(auto& a) { a(os_errno); }
};

// What a workspace with a name has, to a caller that is new to it; so many kAdoptedProcess follow.
struct Adopted {
  static constexpr MessageType kType = MessageType::kAdopted;
  bool has_sandbox = false;
  std::string_view seccomp_profile;  // of that sandbox
  std::uint32_t processes = 0;
  void visit(auto& a) { a(has_sandbox, seccomp_profile, processes); }
};

// fd: its channel, with its report if it has ended.
struct AdoptedProcess {
  static constexpr MessageType kType = MessageType::kAdoptedProcess;
  std::string_view tag;
  std::string_view seccomp_profile;  // that it had
  void visit(auto& a) { a(tag, seccomp_profile); }
};

// The report of a process that has ended need not be kept any more.
struct ForgetProcess {
  static constexpr MessageType kType = MessageType::kForgetProcess;
  std::string_view tag;
  void visit(auto& a) { a(tag); }
};

// A workspace with a name does not end with its channel, but with this.
struct EndWorkspace {
  static constexpr MessageType kType = MessageType::kEndWorkspace;
  void visit(auto&) {}
};

}  // namespace airlock::jail
