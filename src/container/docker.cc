#include "container/docker.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "container/container_tier.h"
#include "container/docker_image.h"
#include "container/tar.h"
#include "docker/engine.h"
#include "jail/path_rules.h"
#include "jail/sandbox_layout.h"
#include "jail/workspace_store.h"
#include "sys/files.h"
#include "sys/seccomp_profiles.h"

namespace airlock::container {
namespace {

namespace json = boost::json;
using base::UniqueFd;
using docker::Answer;
using docker::Engine;

constexpr std::uint64_t kOpenFilesMax = 1u << 20;
constexpr const char* kOpenFilesOfHost = "/proc/sys/fs/nr_open";
constexpr std::uint64_t kNanoCpusPerPercent = 10'000'000;
// Docker's own limits stand a little behind ours: what is reached is the one that we watch.
constexpr std::uint64_t kMemorySlackBytes = 16 << 20;
constexpr std::uint32_t kTasksSlack = 16;  // and runc starts a container with a few of its own
constexpr std::uint64_t kMemoryBytesAhead = 512u << 20;
constexpr std::uint32_t kTasksAhead = 256;
constexpr const char* kOwnerLabel = "airlock.owner";
constexpr const char* kSlotLabel = "airlock.slot";
constexpr std::size_t kOwnerBytes = 8;
constexpr std::string_view kGpuKind = "nvidia.com/gpu=";
constexpr const char* kHierarchies = "/sys/fs/cgroup";

// "mode=0755,size=N,nr_inodes=M", of a workspace store.
std::string number_after(const std::string& options, std::string_view name) {
  const std::size_t at = options.find(name);
  if (at == std::string::npos) return "0";
  const std::size_t start = at + name.size();
  return options.substr(start, options.find(',', start) - start);
}

// What is known without dockerd.
struct OwnFacts {
  std::string owner;  // of containers and volumes: this state directory
  std::uint64_t open_files = 0;
  std::vector<std::string> group_paths;  // of our groups, in each hierarchy
};

// And what it has told.
struct Ready {
  Engine engine;
  std::string image;        // the one with our programs
  bool own_groups = false;  // it can put a container below a cgroup of ours
};
base::Result<Ready> get_ready(const DockerOptions& options, const OwnFacts& facts);

std::string container_name(const OwnFacts& facts, std::uint32_t slot) {
  return "airlock-" + facts.owner + "-s" + std::to_string(slot);
}
std::string volume_name(const OwnFacts& facts, std::uint32_t slot, const char* part) {
  return container_name(facts, slot) + "-" + part;
}

json::object labels_of(const OwnFacts& facts, std::uint32_t slot) {
  return {{kOwnerLabel, facts.owner}, {kSlotLabel, std::to_string(slot)}};
}

// The GPUs that a sandbox is to have, by what NVIDIA's hook knows them by: the UUID, or the index
// where the spec has no other name.
base::Result<std::vector<std::string>> ids_of(const std::vector<std::string>& devices,
                                              bool in_gvisor) {
  std::vector<std::string> ids;
  for (const std::string& device : devices) {
    if (!device.starts_with(kGpuKind)) {
      return base::fail(base::ErrorCode::kUnavailable,
                        "Docker is given GPUs of NVIDIA only, not " + device);
    }
    ids.push_back(device.substr(kGpuKind.size()));
    const bool is_instance =
        ids.back().starts_with("MIG-") || ids.back().find(':') != std::string::npos;
    if (in_gvisor && is_instance) {
      return base::fail(base::ErrorCode::kUnavailable, "gVisor has no MIG instances: " + device,
                        "a whole GPU, or execution.mode docker");
    }
  }
  return ids;
}

// Those and no others: a request by number would be of any.
json::array request_of(const std::vector<std::string>& gpus) {
  if (gpus.empty()) return {};
  const json::array capabilities = {"gpu", "compute", "utility"};
  return json::array{json::object{{"Driver", "nvidia"},
                                  {"DeviceIDs", json::value_from(gpus)},
                                  {"Capabilities", json::array{json::value(capabilities)}}}};
}

// "/airlock/s3.0": where the group is in every hierarchy, told by one of its entrances, which is a
// file in it.
std::string group_of(const ContainerRequest& request, const std::string& parent) {
  if (request.entrances.empty()) return {};
  char target[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(request.entrances[0].get());
  const ssize_t size = readlink(link.c_str(), target, sizeof target);
  const std::string path(target, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  const std::size_t start = path.find("/" + parent + "/");
  const std::size_t end = path.rfind('/');
  return start == std::string::npos || end <= start ? std::string()
                                                    : path.substr(start, end - start);
}

void remove_empty(int folder, const std::string& name) {
  sys::Directory below(folder, name.c_str());
  std::vector<std::string> found;
  while (const char* entry = below.valid() ? below.next() : nullptr) {
    if (below.may_be_directory()) found.emplace_back(entry);
  }
  for (const std::string& entry : found) unlinkat(below.fd(), entry.c_str(), AT_REMOVEDIR);
  unlinkat(folder, name.c_str(), AT_REMOVEDIR);
}

// dockerd makes the parent of a container in every hierarchy of v1, and leaves it there; the keeper
// removes it in those that it uses. Of the slots for which `may_remove` says so.
void remove_foreign_groups(const OwnFacts& facts, const std::string& parent,
                           const std::function<bool(std::uint32_t slot)>& may_remove) {
  sys::Directory hierarchies(AT_FDCWD, kHierarchies);
  while (const char* name = hierarchies.valid() ? hierarchies.next() : nullptr) {
    const std::string path = std::string(kHierarchies) + "/" + name + "/" + parent;
    if (std::ranges::find(facts.group_paths, path) != facts.group_paths.end()) continue;
    sys::Directory groups(AT_FDCWD, path.c_str());
    std::vector<std::string> found;
    while (const char* group = groups.valid() ? groups.next() : nullptr) {
      const auto slot = slot_of_name(group);
      if (slot.has_value() && may_remove(*slot)) found.emplace_back(group);
    }
    for (const std::string& group : found) remove_empty(groups.fd(), group);
  }
}

class DockerRuntime final : public Runtime {
 public:
  DockerRuntime(const DockerOptions& options, const OwnFacts& facts, std::optional<Ready> ready)
      : options_(options), facts_(facts), ready_(std::move(ready)) {}

  base::Result<Container> start(ContainerRequest request) override {
    name_ = container_name(facts_, request.slot);
    AIRLOCK_ASSIGN(const std::vector<std::string> gpus, ids_of(request.devices, options_.gvisor));
    device_requests_ = request_of(gpus);
    for (const std::string& gpu : gpus) gpus_ += (gpus_.empty() ? "" : ",") + gpu;
    if (!ready_.has_value()) { AIRLOCK_ASSIGN(ready_, get_ready(options_, facts_)); }
    AIRLOCK_TRY(engine().remove("/containers/" + name_ + "?force=1&v=1"));
    AIRLOCK_ASSIGN(Answer made, create(request));
    if (made.status == kNotFound) {  // the image, which somebody has removed
      AIRLOCK_ASSIGN(ready_, get_ready(options_, facts_));
      AIRLOCK_ASSIGN(made, create(request));
    }
    if (made.status != kCreated) return refused("create a container", made);
    Container container;
    AIRLOCK_ASSIGN(container.in, engine().attach(name_));
    container.out.reset(fcntl(container.in.get(), F_DUPFD_CLOEXEC, 3));
    AIRLOCK_ASSIGN(const Answer started, engine().post("/containers/" + name_ + "/start"));
    if (started.status != kNoContent) return refused("start a container", started);
    container.unwrap = [this](std::string* wrapped, std::string* plain) {
      said_.clear();
      return docker::unwrap(wrapped, plain, &said_);
    };
    return container;
  }

  base::Status limit(const jail::Exec& request) override {
    const json::object wanted =
        limits_of(request.memory_bytes, request.pids, request.cpu_rate_percent);
    if (wanted == limits_) return {};
    AIRLOCK_ASSIGN(const Answer answer, engine().post("/containers/" + name_ + "/update", wanted));
    if (answer.status != kOk) return refused("limit a container", answer);
    limits_ = wanted;
    return {};
  }

  int put_input(const jail::PutFile& request, const UniqueFd& content) override {
    struct stat status{};
    if (!jail::is_safe_path(request.path)) return EINVAL;
    if (fstat(content.get(), &status) != 0) return errno;
    const auto size = static_cast<std::uint64_t>(status.st_size);
    auto head = tar_head({.path = std::string(request.path.substr(std::strlen("input/"))),
                          .mode = request.executable ? 0755u : 0644u,
                          .size = size});
    if (!head) return ENAMETOOLONG;
    const auto answer = engine().put_tar("/containers/" + name_ + "/archive?path=/input", *head,
                                         content, size, tar_padding(size) + tar_end());
    return answer && answer->status == kOk ? 0 : EIO;
  }

 private:
  const Engine& engine() const { return ready_->engine; }
  base::Result<Answer> create(const ContainerRequest& request) {
    return engine().post("/containers/create?name=" + name_, describe(request));
  }

  json::object limits_of(std::uint64_t memory, std::uint32_t tasks, std::uint32_t rate) const {
    // runsc cannot change those of a container that runs: there the group of ours has them alone.
    if (options_.gvisor && ready_->own_groups) return {};
    const std::uint64_t bytes = memory + kMemorySlackBytes;
    json::object limits = {
        {"Memory", bytes},
        {"MemorySwap", bytes},
        // A sentry's threads are no tasks of the guest, whose number its own kernel limits.
        {"PidsLimit", options_.gvisor ? 0 : tasks + kOwnTasks + kTasksSlack}};
    // Below a group of ours a container has no rate of its own: v1 lets no group have less than one
    // below it.
    if (!ready_->own_groups) {
      const auto cpus = static_cast<std::uint64_t>(std::max(1l, sysconf(_SC_NPROCESSORS_ONLN)));
      // 0 would leave what an earlier program had; more than there is, is refused.
      limits["NanoCpus"] =
          std::min<std::uint64_t>(rate == 0 ? UINT32_MAX : rate, cpus * 100) * kNanoCpusPerPercent;
    }
    return limits;
  }

  json::object describe(const ContainerRequest& request) {
    limits_ = limits_of(kMemoryBytesAhead, kTasksAhead, 0);
    json::object host = limits_;
    host["NetworkMode"] = "none";
    host["ReadonlyRootfs"] = true;
    host["CapDrop"] = json::array{"ALL"};
    host["CapAdd"] = json::value_from(kLinkCapabilities);
    host["SecurityOpt"] =
        json::array{"no-new-privileges", "seccomp=" + std::string(sys::docker_seccomp_profile())};
    host["IpcMode"] = "private";
    host["LogConfig"] = {{"Type", "none"}};
    host["RestartPolicy"] = {{"Name", "no"}};
    // What a program may have is init's to limit; more than dockerd has itself it cannot give.
    host["Ulimits"] =
        json::array{{{"Name", "nofile"}, {"Soft", facts_.open_files}, {"Hard", facts_.open_files}},
                    {{"Name", "core"}, {"Soft", 1}, {"Hard", 1}}};
    if (options_.gvisor) host["Runtime"] = "runsc";
    if (!device_requests_.empty()) host["DeviceRequests"] = device_requests_;
    const std::string group =
        ready_->own_groups ? group_of(request, options_.group_parent) : std::string();
    if (!group.empty()) host["CgroupParent"] = group;
    add_places(request, &host);
    return {
        {"Image", ready_->image},
        {"User", "0:0"},
        {"Entrypoint", json::value_from(link_command())},
        {"Cmd", json::array{}},
        // Or what the image says: where dockerd's default runtime is NVIDIA's, that gives GPUs.
        {"Env", json::array{"NVIDIA_VISIBLE_DEVICES=" + (gpus_.empty() ? "void" : gpus_)}},
        {"WorkingDir", "/"},
        {"Hostname", "airlock"},
        {"NetworkDisabled", true},
        {"Healthcheck", {{"Test", {"NONE"}}}},  // of the image: one more process beside the guest
        {"Tty", false},
        {"OpenStdin", true},
        {"StdinOnce", true},
        {"AttachStdin", true},
        {"AttachStdout", true},
        {"AttachStderr", true},
        {"Labels", labels_of(facts_, request.slot)},
        {"HostConfig", host}};
  }

  // A small workspace that is used once is memory; another is volumes of dockerd's.
  void add_places(const ContainerRequest& request, json::object* host) const {
    const std::string size = number_after(request.tmpfs_options, "size=");
    const std::string inodes = number_after(request.tmpfs_options, "nr_inodes=");
    std::uint64_t bytes = 0;
    std::from_chars(size.data(), size.data() + size.size(), bytes);
    const bool in_memory = !request.reusable && bytes <= jail::kTmpfsBytesMax;
    const std::string user = std::to_string(kNobody);
    const auto options = [&](const char* mode) {
      return "rw,exec,nosuid,nodev,size=" + size + ",nr_inodes=" + inodes + ",mode=" + mode +
             ",uid=" + user + ",gid=" + user;
    };
    json::object tmpfs = {{"/dev/shm", options("1777")}};
    json::array mounts;
    const std::string_view sealed = request.workspace_read_only ? jail::kWorkspacePart : "";
    for (const char* part : kVolumeParts) {
      const std::string target = std::string("/") + part;
      if (in_memory) {
        tmpfs[target] = options(std::strcmp(part, "tmp") == 0 ? "1777" : "0755");
      } else {
        mounts.push_back({{"Type", "volume"},
                          {"Source", volume_name(facts_, request.slot, part)},
                          {"Target", target},
                          {"ReadOnly", sealed == part},
                          {"VolumeOptions", {{"Labels", labels_of(facts_, request.slot)}}}});
      }
    }
    // Filled from outside, as root: it has to be a volume. It goes with the container.
    mounts.push_back({{"Type", "volume"}, {"Target", "/input"}});
    (*host)["Tmpfs"] = tmpfs;
    (*host)["Mounts"] = mounts;
  }

  const DockerOptions& options_;
  const OwnFacts& facts_;
  std::optional<Ready> ready_;
  std::string name_;
  std::string said_;
  json::array device_requests_;
  std::string gpus_;  // their ids, with commas between them
  json::object limits_;
};

// --- what owners that are gone left -------------------------------------------------------------

std::optional<std::uint32_t> slot_of(const json::value& entry) {
  const json::value* const labels = member(entry, "Labels");
  return labels != nullptr ? slot_of_name("s" + text_of(*labels, kSlotLabel)) : std::nullopt;
}

// Of slots that nobody holds.
void sweep_docker(const Engine& engine, const OwnFacts& facts, const std::string& group_parent,
                  const jail::SlotPool& slots) {
  const std::string label = std::string(kOwnerLabel) + "=" + facts.owner;
  const auto containers = engine.get("/containers/json?all=1&" + filter("label", label));
  for (const json::value& entry : list_in(containers)) {
    const auto slot = slot_of(entry);
    if (!slot.has_value()) continue;
    const jail::Slot held = slots.try_take(*slot);
    if (held.valid()) {
      (void)engine.remove("/containers/" + text_of(entry, "Id") + "?force=1&v=1");
    }
  }
  const auto volumes = engine.get("/volumes?" + filter("label", label));
  for (const json::value& entry : list_in(volumes, "Volumes")) {
    const auto slot = slot_of(entry);
    if (!slot.has_value()) continue;
    const jail::Slot held = slots.try_take(*slot);
    if (held.valid()) (void)engine.remove("/volumes/" + text_of(entry, "Name") + "?force=1");
  }
  remove_foreign_groups(facts, group_parent, [&](std::uint32_t slot) {
    const jail::Slot held = slots.try_take(slot);
    return held.valid();
  });
  sweep_images(engine);
}

base::Status remove_surely(const Engine& engine, const std::string& target) {
  AIRLOCK_ASSIGN(const Answer removed, engine.remove(target));
  if (removed.status == kNoContent || removed.status == kNotFound) return {};
  return refused("remove " + target, removed);
}

class DockerTier final : public ContainerTier {
 public:
  // Without `ready` dockerd did not answer yet.
  DockerTier(DockerOptions options, OwnFacts facts, std::optional<Ready> ready)
      : options_(std::move(options)), facts_(std::move(facts)), ready_(std::move(ready)) {}

  jail::Tier tier() const override {
    return options_.gvisor ? jail::Tier::kDockerGvisor : jail::Tier::kDocker;
  }
  bool has_host_tasks() const override { return !options_.gvisor; }
  bool gives_devices() const override { return true; }
  std::uint32_t missing() const override {
    std::uint32_t missing =
        jail::kLacksUidRange | jail::kLacksSupplementaryGroups | jail::kLacksDiskQuota;
    if (options_.gvisor) missing |= jail::kLacksCgroupPids | jail::kLacksPidsPeak;
    if (ready_ && !ready_->own_groups) missing |= jail::kLacksMemoryPeak | jail::kLacksPidsPeak;
    return missing;
  }
  // What an earlier owner of the slot left must not become this one's: it is removed, or there is
  // no workspace.
  base::Result<jail::WorkspaceStore> make_store(std::uint32_t slot, std::uint64_t bytes,
                                                std::uint32_t inodes) const override {
    AIRLOCK_ASSIGN(const Engine engine,
                   Engine::connect(options_.socket, options_.common.start_timeout));
    AIRLOCK_TRY(
        remove_surely(engine, "/containers/" + container_name(facts_, slot) + "?force=1&v=1"));
    for (const char* part : kVolumeParts) {
      AIRLOCK_TRY(
          remove_surely(engine, "/volumes/" + volume_name(facts_, slot, part) + "?force=1"));
    }
    return jail::WorkspaceStore::in_runtime(bytes, inodes);
  }
  void translate(std::uint32_t /*slot*/, jail::Exec* request,
                 jail::TranslatedWords* /*words*/) const override {
    if (options_.gvisor) request->pids += kOwnTasks;
  }
  void end_rest(std::uint32_t slot) const override {
    if (const auto engine = Engine::connect(options_.socket, options_.common.start_timeout)) {
      (void)engine->remove("/containers/" + container_name(facts_, slot) + "?force=1&v=1");
    }
    remove_foreign_groups(facts_, options_.group_parent,
                          [&](std::uint32_t each) { return each == slot; });
  }
  void sweep(const jail::SlotPool& slots) const override {
    const auto engine = Engine::connect(options_.socket, options_.common.start_timeout);
    if (engine) sweep_docker(*engine, facts_, options_.group_parent, slots);
  }
  void end_workspace(std::uint32_t slot) const override {
    const auto engine = Engine::connect(options_.socket, options_.common.start_timeout);
    for (const char* part : kVolumeParts) {
      if (engine) (void)engine->remove("/volumes/" + volume_name(facts_, slot, part) + "?force=1");
    }
  }

 private:
  const CommonOptions& common() const override { return options_.common; }
  std::unique_ptr<Runtime> make_runtime() const override {
    return std::make_unique<DockerRuntime>(options_, facts_, ready_);
  }

  const DockerOptions options_;
  const OwnFacts facts_;
  const std::optional<Ready> ready_;
};

base::Status check_runtime(const json::value& info) {
  const json::value* const runtimes = member(info, "Runtimes");
  if (runtimes != nullptr && member(*runtimes, "runsc") != nullptr) return {};
  return base::fail(base::ErrorCode::kUnavailable, "Docker does not know the runtime runsc",
                    "sudo runsc install, and restart dockerd");
}

base::Result<Ready> get_ready(const DockerOptions& options, const OwnFacts& facts) {
  AIRLOCK_ASSIGN(Engine engine, Engine::connect(options.socket, options.common.start_timeout));
  AIRLOCK_ASSIGN(const Answer info, engine.get("/info"));
  if (info.status != kOk) return refused("info", info);
  if (options.gvisor) AIRLOCK_TRY(check_runtime(info.body));
  AIRLOCK_ASSIGN(std::string image, find_image(engine, options.image, options.common.programs));
  // systemd takes slices of its own for parents only.
  const bool own_groups =
      text_of(info.body, "CgroupDriver") == "cgroupfs" && !facts.group_paths.empty();
  if (options.gvisor && !own_groups) {
    return base::fail(
        base::ErrorCode::kUnavailable,
        "docker+gvisor needs a dockerd whose cgroup driver is cgroupfs, and cgroups of "
        "our own: runsc cannot change limits of a container that runs",
        "execution.mode gvisor needs no dockerd");
  }
  return Ready{.engine = std::move(engine), .image = std::move(image), .own_groups = own_groups};
}

// Of this state directory, and of no other that has the same path in another container: kept in it.
base::Result<std::string> find_owner(const std::string& state_directory) {
  const std::string path = state_directory + "/owner";
  base::SystemRandom random;
  const std::string fresh = base::make_hex(kOwnerBytes, random);
  const std::string passing = path + "." + fresh;
  AIRLOCK_ASSIGN(UniqueFd file, sys::open_at(AT_FDCWD, passing.c_str(),
                                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  const bool written =
      write(file.get(), fresh.data(), fresh.size()) == static_cast<ssize_t>(fresh.size());
  // Whoever comes second has what the first one wrote.
  if (written) (void)link(passing.c_str(), path.c_str());
  unlink(passing.c_str());
  const auto owner = sys::read_file_at(AT_FDCWD, path.c_str());
  if (!owner || owner->size() != fresh.size()) return base::fail_errno("read " + path);
  return *owner;
}

}  // namespace

base::Result<std::unique_ptr<jail::LowerTier>> make_docker_tier(const DockerOptions& options,
                                                                const jail::LauncherHost& host) {
  OwnFacts facts;
  AIRLOCK_ASSIGN(facts.owner, find_owner(host.state_directory));
  for (const sys::CgroupHierarchy& hierarchy : host.cgroups.hierarchies) {
    facts.group_paths.push_back(hierarchy.path);
  }
  rlimit own{};
  getrlimit(RLIMIT_NOFILE, &own);
  facts.open_files = std::min<std::uint64_t>(
      {kOpenFilesMax, own.rlim_max,
       sys::read_number_at(AT_FDCWD, kOpenFilesOfHost).value_or(kOpenFilesMax)});
  auto ready = get_ready(options, facts);
  if (!ready) return std::make_unique<DockerTier>(options, std::move(facts), std::nullopt);
  sweep_docker(ready->engine, facts, options.group_parent, host.slots);
  return std::make_unique<DockerTier>(options, std::move(facts), std::move(*ready));
}

}  // namespace airlock::container
