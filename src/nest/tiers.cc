#include "nest/tiers.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "jail/sandbox_layout.h"
#include "nest/start_init.h"
#include "nest/toolchain_copy.h"
#include "sys/files.h"
#include "sys/landlock.h"
#include "sys/process_tree.h"

namespace airlock::nest {
namespace {

using jail::StageFailure;

constexpr std::uint32_t kNoCgroup =
    jail::kLacksCgroup | jail::kLacksMemoryPeak | jail::kLacksPidsPeak;
constexpr std::uint32_t kSameUser = jail::kLacksUidRange | jail::kLacksSupplementaryGroups;
constexpr int kLandlockWithSignals = 6;

StageFailure to_failure(const base::Error& error, jail::Stage stage) {
  return {stage, error.os_errno != 0 ? error.os_errno : EIO};
}

// Tasks of our own user: where the kernel counts those of a user, and not of a sandbox, the limit
// of a guest has to be above what is there already.
std::uint32_t count_own_tasks() {
  std::uint32_t count = 0;
  sys::Directory processes(AT_FDCWD, "/proc");
  while (const char* name = processes.next()) {
    struct stat status{};
    if (*name < '0' || *name > '9' || fstatat(processes.fd(), name, &status, 0) != 0) continue;
    if (status.st_uid != geteuid() && status.st_uid != 0) continue;
    const auto text = sys::read_file_at(processes.fd(), (std::string(name) + "/status").c_str());
    const std::size_t at = text ? text->find("\nThreads:") : std::string::npos;
    if (at != std::string::npos) count += static_cast<std::uint32_t>(std::atoi(&(*text)[at + 9]));
  }
  return count;
}

// What of a launcher's host a tier needs; its descriptors stay the host's.
struct Base {
  explicit Base(const jail::LauncherHost& host)
      : init_fd(host.init.get()),
        view{.run_directory = host.view.run_directory,
             .roots = host.view.roots,
             .skeleton = host.view.skeleton,
             .in_use = {},
             .trees = host.view.trees,
             .recalled = {},
             .points = {}} {}

  int init_fd;
  jail::HostView view;
};

// --- nested -------------------------------------------------------------------------------------

class NestedTier final : public jail::LowerTier {
 public:
  explicit NestedTier(const jail::LauncherHost& host) : base_(host) {}

  jail::Tier tier() const override { return jail::Tier::kNestedGvisor; }
  std::uint32_t missing() const override {
    return kNoCgroup | kSameUser | jail::kLacksMountNamespace | jail::kLacksProc |
           jail::kLacksChmod | jail::kLacksDiskQuota | jail::kLacksPrivateView;
  }
  sys::RawChild start_init(std::uint32_t /*slot*/, int channel_fd) const override {
    return start_lower_init(
        {.program_fd = base_.init_fd, .channel_fd = channel_fd, .mode = "nested"});
  }

  base::Status copy_tools() const { return copy_toolchain(base_.view.trees, tools()); }

  StageFailure describe(std::uint32_t slot, jail::ViewSetup* view,
                        std::string* words) const override {
    auto place = make_place(slot);
    if (!place) return to_failure(place.error(), jail::Stage::kMountRoot);
    for (const std::string& tree : base_.view.trees) *words += tree + '\0';
    const std::size_t trees_size = words->size();
    *words += *place;
    view->trees = {words->data(), trees_size, static_cast<std::uint32_t>(base_.view.trees.size())};
    view->skeleton = std::string_view(*words).substr(words->size() - place->size());
    return {};
  }

  base::Result<jail::WorkspaceStore> make_store(std::uint32_t slot, std::uint64_t bytes,
                                                std::uint32_t inodes) const override {
    AIRLOCK_ASSIGN(const std::string place, make_place(slot));
    return jail::WorkspaceStore::in_place(place, bytes, inodes, 0555);
  }
  void translate(std::uint32_t /*slot*/, jail::Exec* request,
                 jail::TranslatedWords* /*words*/) const override {
    request->pids += count_own_tasks();
  }
  std::uint64_t memory_bytes(pid_t init) const override { return sys::resident_bytes_below(init); }
  void end_rest(std::uint32_t /*slot*/) const override {}

 private:
  std::string tools() const { return base_.view.skeleton + "/tools"; }

  // The root of a slot, made when it is first needed. Nothing in it can be written but the parts of
  // a workspace.
  base::Result<std::string> make_place(std::uint32_t slot) const {
    const std::string name = jail::slot_root(base_.view, slot);
    const std::string place = base_.view.skeleton + "/" + name;
    const std::string ready = place + "-ready";
    if (name.empty()) return base::fail_errno("make the root of a slot");
    if (access(ready.c_str(), F_OK) == 0) return place;
    for (const std::string& tree : base_.view.trees) {
      AIRLOCK_TRY(link_tree(tools() + tree, place + tree));
    }
    AIRLOCK_TRY(seal_folders(place));
    for (const jail::WorkspacePart& part : jail::kWorkspaceParts) {
      chmod((place + "/" + part.target).c_str(), part.read_only ? 0555 : part.mode);
    }
    AIRLOCK_TRY(sys::open_at(AT_FDCWD, ready.c_str(), O_WRONLY | O_CREAT, 0600));
    return place;
  }

  Base base_;
};

// --- process ------------------------------------------------------------------------------------

// Where the parts of a workspace are to be found instead.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kMoved = {
    {{"/workspace", "/workspace"},
     {"/tmp", "/tmp"},
     {"/output", "/output"},
     {"/input", "/input"},
     {"/build", "/build"},
     {"/dev/shm", "/dev/shm"},
     {"/work", "/workspace"}}};

// Whether setuid works is tried, too: root need not have the capability.
bool can_become_others() {
  if (geteuid() != 0) return false;
  const pid_t child = fork();
  if (child == 0)
    _exit(setresuid(jail::kPoolFirst, jail::kPoolFirst, jail::kPoolFirst) == 0 ? 0 : 1);
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

class ProcessTier final : public jail::LowerTier {
 public:
  ProcessTier(const jail::LauncherHost& host, jail::Tier tier)
      : base_(host),
        tier_(tier),
        own_users_(can_become_others()),
        landlock_abi_(sys::landlock_abi()),
        places_(host.slots.run_directory() + "-places") {}

  jail::Tier tier() const override { return tier_; }
  std::uint32_t missing() const override {
    std::uint32_t missing = kNoCgroup | jail::kLacksMountNamespace | jail::kLacksPidNamespace |
                            jail::kLacksNetworkNamespace | jail::kLacksIpcNamespace |
                            jail::kLacksUtsNamespace | jail::kLacksUserNamespace |
                            jail::kLacksOwnRoot | jail::kLacksSockets | jail::kLacksDiskQuota |
                            jail::kLacksPrivateView;
    if (!own_users_) missing |= kSameUser;
    if (landlock_abi_ > 0) missing |= jail::kLacksProc;
    if (landlock_abi_ < kLandlockWithSignals) missing |= jail::kLacksSignals;
    return missing;
  }

  // What runs here can be seen by guests, and shares their user where there is but one.
  base::Status prepare() const {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    const mode_t mode = own_users_ ? 0711 : 0700;
    struct stat status{};
    mkdir(places_.c_str(), mode);
    if (lstat(places_.c_str(), &status) != 0) return base::fail_errno("mkdir " + places_);
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid()) {
      return base::fail(base::ErrorCode::kPermissionDenied, places_ + " is not a folder of ours",
                        "remove it");
    }
    return chmod(places_.c_str(), mode) == 0 ? base::Status()
                                             : base::fail_errno("chmod " + places_);
  }

  sys::RawChild start_init(std::uint32_t slot, int channel_fd) const override {
    if (tier_ == jail::Tier::kRefused) return {-EPERM, -1};
    return start_lower_init({.program_fd = base_.init_fd,
                             .channel_fd = channel_fd,
                             .mode = "process",
                             .uid = own_users_ ? user_of(slot) : 0});
  }

  StageFailure describe(std::uint32_t slot, jail::ViewSetup* view,
                        std::string* words) const override {
    auto place = make_place(slot);
    if (!place) return to_failure(place.error(), jail::Stage::kMountRoot);
    *words = *place;
    view->skeleton = *words;
    return {};
  }

  base::Result<jail::WorkspaceStore> make_store(std::uint32_t slot, std::uint64_t bytes,
                                                std::uint32_t inodes) const override {
    AIRLOCK_ASSIGN(const std::string place, make_place(slot));
    return jail::WorkspaceStore::in_place(place, bytes, inodes, 0755);
  }

  void translate(std::uint32_t slot, jail::Exec* request,
                 jail::TranslatedWords* words) const override {
    const std::string place = place_of(slot);
    words->cwd = move_path(request->cwd, place);
    request->cwd = words->cwd;
    request->argv = move_all(request->argv, place, &words->argv);
    request->env = move_all(request->env, place, &words->env);
    if (!own_users_) request->pids += count_own_tasks();
  }

  std::uint64_t memory_bytes(pid_t init) const override { return sys::resident_bytes_below(init); }
  // Orphans of an init that was killed are ours now.
  void end_rest(std::uint32_t /*slot*/) const override { sys::end_descendants(); }

 private:
  static uid_t user_of(std::uint32_t slot) {
    return jail::kPoolFirst + slot * jail::kPoolIdsPerSlot + jail::kGuestId;
  }
  std::string place_of(std::uint32_t slot) const { return places_ + "/s" + std::to_string(slot); }

  base::Result<std::string> make_place(std::uint32_t slot) const {
    const std::string place = place_of(slot);
    const mode_t umask_before = umask(0);
    base::Status done = make_folder(place, 0700, slot);
    if (done) done = make_folder(place + "/dev", 0755, slot);
    for (const jail::WorkspacePart& part : jail::kWorkspaceParts) {
      if (done) done = make_folder(place + "/" + part.target, part.mode, slot);
    }
    umask(umask_before);
    if (!done) return base::fail(done.error());
    return place;
  }

  base::Status make_folder(const std::string& path, mode_t mode, std::uint32_t slot) const {
    const bool made = mkdir(path.c_str(), mode) == 0;
    if (!made && errno != EEXIST) return base::fail_errno("mkdir " + path);
    const uid_t user = user_of(slot);
    if (made && own_users_ && chown(path.c_str(), user, user) != 0) {
      return base::fail_errno("chown " + path);
    }
    return {};
  }

  // Of "NAME=/workspace/x" what comes after the "=".
  static jail::StringList move_all(const jail::StringList& list, const std::string& place,
                                   std::string* storage) {
    list.for_each([&](std::string_view word) {
      const std::size_t equals = word.find('=');
      if (!word.starts_with('/') && equals != std::string_view::npos) {
        storage->append(word.substr(0, equals + 1));
        word.remove_prefix(equals + 1);
      }
      *storage += move_path(word, place) + '\0';
    });
    return {storage->data(), storage->size(), list.count()};
  }

  Base base_;
  jail::Tier tier_;
  bool own_users_;
  int landlock_abi_;
  std::string places_;
};

}  // namespace

std::string move_path(std::string_view word, const std::string& place) {
  for (const auto& [seen, moved] : kMoved) {
    const bool is_it = word == seen;
    const bool below =
        word.size() > seen.size() && word.starts_with(seen) && word[seen.size()] == '/';
    if (is_it || below) {
      return place + std::string(moved) + std::string(word.substr(seen.size()));
    }
  }
  return std::string(word);
}

base::Result<std::unique_ptr<jail::LowerTier>> make_tier(jail::Tier tier,
                                                         const jail::LauncherHost& host) {
  if (tier == jail::Tier::kNestedGvisor) {
    auto nested = std::make_unique<NestedTier>(host);
    AIRLOCK_TRY(nested->copy_tools());
    return nested;
  }
  auto process = std::make_unique<ProcessTier>(host, tier);
  AIRLOCK_TRY(process->prepare());
  return process;
}

}  // namespace airlock::nest
