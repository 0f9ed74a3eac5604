#include "container/gvisor.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "container/bundle.h"
#include "container/container_tier.h"
#include "container/input_file.h"
#include "container/run_program.h"
#include "jail/sandbox_layout.h"
#include "sys/files.h"

namespace airlock::container {
namespace {

using base::UniqueFd;

constexpr unsigned long kNoSuid = 2;
constexpr unsigned long kNoDev = 4;
constexpr unsigned long kBind = 4096;
constexpr unsigned long kRecursive = 16'384;
constexpr unsigned long kPrivate = 1ul << 18;

bool mount(const char* source, const char* target, const char* type, unsigned long flags,
           const char* options) {
  return syscall(SYS_mount, source, target, type, flags, options) == 0;
}

// Where things of a slot's container are: below the run directory, which is ours alone.
std::string folders_of(const GvisorOptions& options) { return options.run_directory + "/gvisor"; }
std::string folder_of(const GvisorOptions& options, std::uint32_t slot) {
  return folders_of(options) + "/s" + std::to_string(slot);
}

// What of a launcher's host is needed here, which moves before it is used.
struct HostParts {
  std::string root;
  std::vector<std::string> trees;
  jail::IdHost ids;
  std::string state_directory;
};

void remove_folder(const std::string& path) {
  const UniqueFd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder.valid()) sys::remove_tree_below(folder.get());
  rmdir(path.c_str());
}

class GvisorRuntime final : public Runtime {
 public:
  GvisorRuntime(const GvisorOptions& options, const HostParts& host)
      : options_(options), host_(host) {}

  base::Result<Container> start(ContainerRequest request) override {
    folder_ = folder_of(options_, request.slot);
    AIRLOCK_TRY(make_folders());
    Container container;
    AIRLOCK_TRY(mount_workspace(&request, &container));
    AIRLOCK_TRY(mount_given(&request));
    AIRLOCK_TRY(write_config(request));
    AIRLOCK_TRY(execute(request, &container));
    return container;
  }
  int put_input(const jail::PutFile& request, const base::UniqueFd& content) override {
    return write_input(folder_ + "/workspace/input", request, content);
  }
  base::Status limit(const jail::Exec& /*request*/) override { return {}; }  // our group has them

 private:
  base::Status make_folders() const {
    remove_folder(folder_);
    for (const char* name : {"", "/bundle", "/state", "/workspace"}) {
      if (mkdir((folder_ + name).c_str(), 0700) != 0 && errno != EEXIST) {
        return base::fail_errno("mkdir " + folder_ + name);
      }
    }
    return {};
  }

  // In a namespace of mounts of our own: they go when the last of us and of runsc's does.
  base::Status mount_workspace(ContainerRequest* request, Container* container) const {
    if (unshare(CLONE_NEWNS) != 0 ||
        !mount(nullptr, "/", nullptr, kRecursive | kPrivate, nullptr)) {
      return base::fail_errno("have mounts of our own");
    }
    const std::string target = folder_ + "/workspace";
    if (request->workspace.valid()) {
      if (syscall(SYS_move_mount, request->workspace.get(), "", AT_FDCWD, target.c_str(),
                  MOVE_MOUNT_F_EMPTY_PATH) != 0) {
        return base::fail_errno("mount the workspace");
      }
    } else if (!request->directory.empty()) {
      if (!mount(request->directory.c_str(), target.c_str(), nullptr, kBind, nullptr)) {
        return base::fail_errno("mount the workspace");
      }
    } else if (!mount("workspace", target.c_str(), "tmpfs", kNoSuid | kNoDev,
                      request->tmpfs_options.c_str())) {
      return base::fail_errno("mount the workspace");
    }
    if (request->reusable && request->directory.empty()) {
      container->workspace.reset(static_cast<int>(
          syscall(SYS_open_tree, AT_FDCWD, target.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
      if (!container->workspace.valid()) return base::fail_errno("hand back the workspace");
    }
    for (const jail::WorkspacePart& part : jail::kWorkspaceParts) {
      const std::string path = source_of(part);
      if (mkdir(path.c_str(), part.mode) != 0 && errno != EEXIST) {
        return base::fail_errno("mkdir " + path);
      }
      // Of the parts that are not the guest's everybody may write to two, and nobody to /input.
      const uid_t owner = part.read_only ? 0 : kNobody;
      if (chmod(path.c_str(), part.mode) != 0 || chown(path.c_str(), owner, owner) != 0) {
        return base::fail_errno("chown " + path);
      }
    }
    return {};
  }

  // Of ".ws/NAME", as a native sandbox has it.
  std::string source_of(const jail::WorkspacePart& part) const {
    return folder_ + "/workspace" + std::string(std::strchr(part.source, '/'));
  }

  base::Status mount_given(ContainerRequest* request) const {
    for (std::size_t i = 0; i < request->given.size(); ++i) {
      const std::string target = given_folder(i);
      mkdir((folder_ + "/given").c_str(), 0700);
      if (mkdir(target.c_str(), 0700) != 0 ||
          syscall(SYS_move_mount, request->given[i].mount.get(), "", AT_FDCWD, target.c_str(),
                  MOVE_MOUNT_F_EMPTY_PATH) != 0) {
        return base::fail_errno("mount what is given at " + request->given[i].target);
      }
      request->given[i].mount.reset();
    }
    return {};
  }
  std::string given_folder(std::size_t index) const {
    return folder_ + "/given/" + std::to_string(index);
  }

  base::Status write_config(const ContainerRequest& request) const {
    BundleRequest bundle;
    bundle.root = host_.root;
    bundle.trees = host_.trees;
    bundle.programs = options_.common.programs;
    for (const jail::WorkspacePart& part : jail::kWorkspaceParts) {
      const std::string target = std::string("/") + part.target;
      const bool is_given =
          std::ranges::find(request.given, target, &ContainerRequest::Given::target) !=
          request.given.end();
      if (is_given) continue;
      const bool is_workspace = part.target == std::string_view(jail::kWorkspacePart);
      bundle.parts.push_back({source_of(part), target,
                              part.read_only || (is_workspace && request.workspace_read_only)});
    }
    for (std::size_t i = 0; i < request.given.size(); ++i) {
      bundle.parts.push_back({given_folder(i), request.given[i].target, true});
    }
    const std::string text = write_bundle(bundle);
    const std::string path = folder_ + "/bundle/config.json";
    AIRLOCK_ASSIGN(const UniqueFd file,
                   sys::open_at(AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return base::fail_errno("write " + path);
    }
    return {};
  }

  base::Status execute(const ContainerRequest& request, Container* container) const {
    const std::vector<std::string> words = {options_.program,
                                            "--root",
                                            folder_ + "/state",
                                            "--platform=" + options_.platform,
                                            "--network=none",
                                            "--ignore-cgroups",
                                            "--file-access=" + options_.file_access,
                                            "--overlay=false",
                                            "run",
                                            "--bundle",
                                            folder_ + "/bundle",
                                            "airlock-s" + std::to_string(request.slot)};
    AIRLOCK_ASSIGN(RunningProgram running, start_program(words, request.entrances));
    container->in = std::move(running.in);
    container->out = std::move(running.out);
    container->said = std::move(running.said);
    return {};
  }

  const GvisorOptions& options_;
  const HostParts& host_;
  std::string folder_;
};

class GvisorTier final : public ContainerTier {
 public:
  GvisorTier(GvisorOptions options, HostParts host)
      : options_(std::move(options)), host_(std::move(host)) {}

  jail::Tier tier() const override { return jail::Tier::kGvisor; }
  bool takes_mounts() const override { return true; }
  std::uint32_t missing() const override {
    return jail::kLacksUidRange | jail::kLacksSupplementaryGroups | jail::kLacksCgroupPids |
           jail::kLacksPidsPeak;
  }

  base::Result<jail::WorkspaceStore> make_store(std::uint32_t slot, std::uint64_t bytes,
                                                std::uint32_t inodes) const override {
    return jail::WorkspaceStore::create(host_.ids, host_.state_directory, slot, bytes, inodes);
  }
  void translate(std::uint32_t /*slot*/, jail::Exec* request,
                 jail::TranslatedWords* /*words*/) const override {
    request->pids += kOwnTasks;
  }
  void end_rest(std::uint32_t slot) const override { remove_folder(folder_of(options_, slot)); }
  void sweep(const jail::SlotPool& slots) const override {
    std::vector<std::uint32_t> left;
    sys::Directory folders(AT_FDCWD, folders_of(options_).c_str());
    while (const char* name = folders.valid() ? folders.next() : nullptr) {
      if (const auto slot = slot_of_name(name)) left.push_back(*slot);
    }
    for (const std::uint32_t slot : left) {
      const jail::Slot held = slots.try_take(slot);
      if (held.valid()) remove_folder(folder_of(options_, slot));
    }
  }

 private:
  const CommonOptions& common() const override { return options_.common; }
  std::unique_ptr<Runtime> make_runtime() const override {
    return std::make_unique<GvisorRuntime>(options_, host_);
  }

  const GvisorOptions options_;
  const HostParts host_;
};

}  // namespace

base::Result<std::unique_ptr<ContainerTier>> make_gvisor_tier(const GvisorOptions& options,
                                                              const jail::LauncherHost& host) {
  const std::string folder = folders_of(options);
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return base::fail_errno("mkdir " + folder);
  return std::make_unique<GvisorTier>(
      options, HostParts{.root = host.view.skeleton + "/" + jail::kSkeletonRoot,
                         .trees = host.view.trees,
                         .ids = host.ids,
                         .state_directory = host.state_directory});
}

}  // namespace airlock::container
