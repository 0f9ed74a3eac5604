#include "jail/launcher_host.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include <cstdlib>
#include <vector>

#include "jail/layer_store.h"
#include "jail/workspace_store.h"
#include "sys/files.h"
#include "sys/seccomp.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

constexpr std::size_t kInitBytesMax = 4u << 20;

}  // namespace

std::string default_state_directory() {
  if (geteuid() == 0) return "/var/lib/airlock";
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && state[0] == '/') {
    return std::string(state) + "/airlock";
  }
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::string(home) + "/.local/state/airlock";
  return default_run_directory() + "/state";  // that directory is checked to be ours
}

std::string beside_ourselves(const char* name) {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0) return name;
  const std::string own(path, static_cast<std::size_t>(size));
  return own.substr(0, own.rfind('/') + 1) + name;
}

namespace {

// A sealed copy: what runs as pid 1 of every sandbox cannot be changed, by a guest that shares our
// uid least of all.
base::Result<UniqueFd> seal_program(const std::string& path) {
  AIRLOCK_ASSIGN(const UniqueFd file, sys::open_at(AT_FDCWD, path.c_str(), O_RDONLY));
  struct stat status{};
  if (fstat(file.get(), &status) != 0) return base::fail_errno("stat " + path);
  const bool trusted = status.st_uid == 0 || status.st_uid == geteuid();
  if (!trusted || (status.st_mode & (S_IWOTH | S_IWGRP)) != 0) {
    return base::fail(base::ErrorCode::kPermissionDenied, path + " can be changed by others",
                      "chown root and chmod 755 it");
  }
  if (static_cast<std::size_t>(status.st_size) > kInitBytesMax) {
    return base::fail(base::ErrorCode::kLimitExceeded, path + " is too large to be airlock-init");
  }
  std::vector<char> bytes(static_cast<std::size_t>(status.st_size));
  if (read(file.get(), bytes.data(), bytes.size()) != status.st_size) {
    return base::fail_errno("read " + path);
  }
  UniqueFd sealed(memfd_create("airlock-init", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!sealed.valid()) return base::fail_errno("memfd_create");
  if (write(sealed.get(), bytes.data(), bytes.size()) != status.st_size ||
      fcntl(sealed.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
          0) {
    return base::fail_errno("seal " + path);
  }
  return sealed;
}

// There init is born in its group, which therefore has to be known first.
bool has_only_unified_cgroups() {
  struct statfs status{};
  return statfs("/sys/fs/cgroup", &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC;
}

}  // namespace

namespace {

base::Result<Grants> read_grants(const LauncherOptions& options) {
  Grants grants;
  for (const std::string& text : options.folders) {
    AIRLOCK_ASSIGN(FolderGrant folder, parse_folder_grant(text));
    if (grants.folders.size() == kFoldersMax || find_folder(grants, folder.name) != nullptr) {
      return base::fail(base::ErrorCode::kInvalidArgument,
                        "--folder " + text + ": one of that name is there, or too many are");
    }
    grants.folders.push_back(std::move(folder));
  }
  if (options.devices_fd >= 0) {
    const UniqueFd table(options.devices_fd);
    AIRLOCK_ASSIGN(const std::string text, read_device_table(table.get()));
    AIRLOCK_ASSIGN(grants.devices, parse_device_table(text));
  }
  return grants;
}

}  // namespace

base::Result<LauncherHost> LauncherHost::open(const LauncherOptions& options) {
  const IdHost ids = open_id_host();
  const std::string run_directory =
      options.run_directory.empty() ? default_run_directory() : options.run_directory;
  AIRLOCK_ASSIGN(Grants grants, read_grants(options));
  std::vector<MountPoint> points = settle_grants(&grants);
  for (const std::string& path : options.points) points.push_back({path, /*is_folder=*/true});
  AIRLOCK_ASSIGN(SlotPool slots, SlotPool::open(run_directory, ids.slots_max));
  LauncherHost host{.ids = ids,
                    .slots = std::move(slots),
                    .state_directory = options.state_directory.empty() ? default_state_directory()
                                                                       : options.state_directory,
                    .grants = std::move(grants),
                    .view = recall_host_view(run_directory, std::move(points)),
                    .cgroups = {},
                    .init = {}};
  if (options.begun.pid > 0) {
    host.init.reset(options.begun.program_fd);
  } else {
    const std::string& path = options.init_path;
    AIRLOCK_ASSIGN(host.init, seal_program(path.empty() ? beside_ourselves("airlock-init") : path));
  }
  if (has_only_unified_cgroups()) {
    host.cgroups = sys::open_cgroup_host(options.cgroup_parent, host.privileged());
  }
  if (!host.view.in_use.valid()) AIRLOCK_TRY(check_host_view(&host.view));
  return host;
}

void LauncherHost::complete(const LauncherOptions& options) {
  if (!has_only_unified_cgroups()) {
    cgroups = sys::open_cgroup_host(options.cgroup_parent, privileged());
  }
  seccomp_listener = sys::has_user_notification();
}

bool sweep(const LauncherHost& host, const Kept& kept) {
  struct Claim {
    const SlotPool& slots;
    std::uint32_t own_slot;
    Slot held;  // until the next one is claimed
  } context{host.slots, kept.slot, {}};
  const auto claim = [](void* opaque, std::uint32_t number) {
    auto* const claimed = static_cast<Claim*>(opaque);
    if (number == claimed->own_slot) return true;
    claimed->held = claimed->slots.try_take(number);
    return claimed->held.valid();
  };
  const bool left = sys::sweep_cgroups(host.cgroups, kept.group, claim, &context);
  context.held = Slot();  // or its workspace would look like somebody's
  sweep_workspaces(host.state_directory, host.slots, kept.slot, kept.workspace);
  sweep_layers(host.state_directory);
  return left;
}

}  // namespace airlock::jail
