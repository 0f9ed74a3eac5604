// Stage: the step of making a sandbox or starting a program that failed, as a fixed record.
//
// Between clone and exec nothing may allocate or log, so a failure travels as {stage, errno}. The
// names are part of the result object (`setup_failed`); numbers are part of the wire protocol.
#pragma once

#include <cstdint>
#include <string_view>

namespace airlock::jail {

enum class Stage : std::uint16_t {
  kNone = 0,
  kSlot,
  kWorkspace,
  kClone,
  kIdMap,
  kIdentity,
  kMountPrivate,
  kMountRoot,
  kMountHostView,
  kMountDevices,
  kMountProc,
  kMountWorkspace,
  kPivotRoot,
  kNetwork,
  kCapabilities,
  kExecInit,
  kInput,
  kSpawn,
  kCgroup,
  kLimits,
  kStdio,
  kTerminal,
  kWorkingDirectory,
  kLandlock,
  kSeccomp,
  kExec,
  kInit,     // the sandbox's pid 1 died
  kRequest,  // the request itself was refused
  kTimeout,  // setting up took longer than kSetupTimeout
  kTier,     // the host gives a tier only that was not allowed
  kLayer,    // what was asked for at /build
  kFolder,   // of the operator
  kDevice,
  kContainer,  // the runtime did not make it
  kImage,      // in place of the operator's
  kCount,
};

constexpr std::string_view stage_name(Stage stage) {
  constexpr std::string_view kNames[] = {"none",
                                         "slot",
                                         "workspace",
                                         "clone",
                                         "id_map",
                                         "identity",
                                         "mount_private",
                                         "mount_root",
                                         "mount_host_view",
                                         "mount_devices",
                                         "mount_proc",
                                         "mount_workspace",
                                         "pivot_root",
                                         "network",
                                         "capabilities",
                                         "exec_init",
                                         "input",
                                         "spawn",
                                         "cgroup",
                                         "limits",
                                         "stdio",
                                         "terminal",
                                         "working_directory",
                                         "landlock",
                                         "seccomp",
                                         "exec",
                                         "init",
                                         "request",
                                         "timeout",
                                         "tier",
                                         "layer",
                                         "folder",
                                         "device",
                                         "container",
                                         "image"};
  static_assert(sizeof kNames / sizeof kNames[0] == static_cast<std::size_t>(Stage::kCount));
  const auto index = static_cast<std::size_t>(stage);
  return index < static_cast<std::size_t>(Stage::kCount) ? kNames[index] : "unknown";
}

struct StageFailure {
  Stage stage = Stage::kNone;
  std::int32_t os_errno = 0;
};

}  // namespace airlock::jail
