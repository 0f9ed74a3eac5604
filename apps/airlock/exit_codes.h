// Exit codes of the command line tool. A program that exited gives its own code; everything else
// gives one of these, so that a script can tell them apart (docs/cli.md has the same table).
// A program may of course exit with such a code itself: --json tells beyond doubt.
#pragma once

#include "model/outcome.h"

namespace airlock::apps {

inline constexpr int kExitNo = 1;         // of verbs that ask: the job failed, is not there, ...
inline constexpr int kExitUsage = 2;      // the command line is wrong; nothing was run
inline constexpr int kExitJobGoesOn = 3;  // somebody stopped following it
inline constexpr int kExitSetupFailed = 117;
inline constexpr int kExitProcessLimit = 118;
inline constexpr int kExitDenied = 119;
inline constexpr int kExitWallTimeout = 120;
inline constexpr int kExitCpuTimeout = 121;
inline constexpr int kExitOutOfMemory = 122;
inline constexpr int kExitOutputLimit = 123;
inline constexpr int kExitDiskLimit = 124;
inline constexpr int kExitFailed =
    125;  // airlock or the host failed; says nothing about the program
inline constexpr int kExitSignalBase = 128;  // 128 + the signal that ended the program
inline constexpr int kExitCancelled = 130;

constexpr int exit_code_of(const model::Outcome& outcome) {
  switch (outcome.kind) {
    case model::OutcomeKind::kExited: return outcome.exit_code.value_or(kExitFailed);
    case model::OutcomeKind::kSignalled: return kExitSignalBase + outcome.signal.value_or(0);
    case model::OutcomeKind::kWallTimeout: return kExitWallTimeout;
    case model::OutcomeKind::kCpuTimeout: return kExitCpuTimeout;
    case model::OutcomeKind::kOutOfMemory: return kExitOutOfMemory;
    case model::OutcomeKind::kOutputLimit: return kExitOutputLimit;
    case model::OutcomeKind::kDiskLimit: return kExitDiskLimit;
    case model::OutcomeKind::kProcessLimit: return kExitProcessLimit;
    case model::OutcomeKind::kDenied: return kExitDenied;
    case model::OutcomeKind::kSetupFailed: return kExitSetupFailed;
    case model::OutcomeKind::kCancelled: return kExitCancelled;
  }
  return kExitFailed;
}

}  // namespace airlock::apps
