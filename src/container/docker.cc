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
#include <optional>
#include <utility>
#include <vector>

#include "container/container_tier.h"
#include "container/docker_image.h"
#include "container/docker_owner.h"
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
constexpr std::chrono::seconds kCleanTimeout{10};
constexpr std::string_view kGpuKind = "nvidia.com/gpu=";
constexpr std::string_view kGpuVariable = "NVIDIA_VISIBLE_DEVICES";

// "mode=0755,size=N,nr_inodes=M", of a workspace store.
std::string number_after(const std::string& options, std::string_view name) {
  const std::size_t at = options.find(name);
  if (at == std::string::npos) return "0";
  const std::size_t start = at + name.size();
  return options.substr(start, options.find(',', start) - start);
}

// More than dockerd has itself it cannot give.
std::uint64_t open_files_max() {
  rlimit own{};
  getrlimit(RLIMIT_NOFILE, &own);
  return std::min<std::uint64_t>(
      {kOpenFilesMax, own.rlim_max,
       sys::read_number_at(AT_FDCWD, kOpenFilesOfHost).value_or(kOpenFilesMax)});
}

// What dockerd has told.
struct Ready {
  Engine engine;
  bool own_groups = false;          // it can put a container below a cgroup of ours
  std::optional<Image> image = {};  // the default one, with our programs, once it is there
};
base::Result<Ready> get_ready(const DockerOptions& options, const DockerOwner& owner);

// The GPUs that a sandbox is to have, by what NVIDIA's hook knows them by: the UUID, or the index
// where the spec has no other name.
base::Result<std::vector<std::string>> gpu_ids(const std::vector<std::string>& devices,
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
json::array gpu_request(const std::vector<std::string>& gpus) {
  const json::array capabilities = {"gpu", "compute", "utility"};
  return json::array{json::object{{"Driver", "nvidia"},
                                  {"DeviceIDs", json::value_from(gpus)},
                                  {"Capabilities", json::array{json::value(capabilities)}}}};
}

// Of every container, or what the image says: where dockerd's default runtime is NVIDIA's, that
// gives GPUs.
std::string gpu_variable(const std::vector<std::string>& gpus) {
  std::string list;
  for (const std::string& gpu : gpus) list += (list.empty() ? "" : ",") + gpu;
  return std::string(kGpuVariable) + "=" + (list.empty() ? "void" : list);
}

// The directory of the group that `entrance`, a file in it, leads into.
std::string group_directory(const UniqueFd& entrance) {
  char target[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(entrance.get());
  const ssize_t size = readlink(link.c_str(), target, sizeof target);
  const std::string path(target, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return path.substr(0, std::min(path.rfind('/'), path.size()));
}

class DockerRuntime final : public Runtime {
 public:
  DockerRuntime(const DockerOptions& options, const DockerOwner& owner, std::optional<Ready> ready)
      : options_(options), owner_(owner), ready_(std::move(ready)) {}

  base::Result<Container> start(ContainerRequest request) override {
    name_ = owner_.container_name(request.slot);
    wanted_ = request.image.empty() ? options_.image : request.image;
    // Whoever asks may be a daemon that was taken over.
    if (wanted_ != options_.image &&
        std::ranges::find(options_.images, wanted_) == options_.images.end()) {
      image_is_to_blame_ = true;
      return base::fail(base::ErrorCode::kPermissionDenied, wanted_ + " is not to be used",
                        "the operator names images in execution.images");
    }
    AIRLOCK_ASSIGN(gpus_, gpu_ids(request.devices, options_.gvisor));
    AIRLOCK_TRY(find_ready());
    if (ready_->own_groups && !request.entrances.empty()) {
      directory_ = group_directory(request.entrances.front());
    }
    AIRLOCK_TRY(engine().remove("/containers/" + name_ + "?force=1&v=1"));
    AIRLOCK_ASSIGN(Answer made, create(request));
    if (made.status == kNotFound) {  // the image, which somebody has removed
      ready_.reset();
      AIRLOCK_TRY(find_ready());
      AIRLOCK_ASSIGN(made, create(request));
    }
    if (made.status != kCreated) return refused("create a container", made);
    const std::string id = text_of(made.body, "Id");
    Container container;
    AIRLOCK_ASSIGN(container.in, engine().attach(name_));
    container.out.reset(fcntl(container.in.get(), F_DUPFD_CLOEXEC, 3));
    AIRLOCK_ASSIGN(const Answer started, engine().post("/containers/" + name_ + "/start"));
    if (started.status != kNoContent) return refused("start a container", started);
    AIRLOCK_TRY(check_group(id));
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

  bool fails_by_image() const override { return image_is_to_blame_; }
  std::vector<std::string> environment() const override { return image_.environment; }

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
  base::Status find_ready() {
    if (!ready_.has_value()) { AIRLOCK_ASSIGN(ready_, get_ready(options_, owner_)); }
    // From here on what fails another image would not: it is of this one's author.
    image_is_to_blame_ = wanted_ != options_.image;
    const Image* const known = !image_is_to_blame_ && ready_->image ? &*ready_->image : nullptr;
    AIRLOCK_ASSIGN(image_, find_image(engine(), wanted_, options_.common.programs, known));
    return {};
  }
  base::Result<Answer> create(const ContainerRequest& request) {
    return engine().post("/containers/create?name=" + name_, describe(request));
  }

  // "/airlock-docker/s3.0": where the group is in every hierarchy; empty: the container is in none
  // of ours.
  std::string group() const {
    const std::size_t start = directory_.find("/" + options_.group_parent + "/");
    return start == std::string::npos ? std::string() : directory_.substr(start);
  }

  // dockerd may see other hierarchies than we do, as where we are in a container ourselves. Then it
  // has made a group of the same name elsewhere: ours holds nothing, and counts nothing.
  base::Status check_group(const std::string& id) const {
    if (group().empty() || access((directory_ + "/" + id).c_str(), F_OK) == 0) return {};
    return base::fail(base::ErrorCode::kUnavailable,
                      "Docker has not put the container below the cgroup of ours",
                      "let Airlock see the cgroups that dockerd does, or take another mode");
  }

  json::object limits_of(std::uint64_t memory, std::uint32_t tasks, std::uint32_t rate) const {
    // runsc cannot change those of a container that runs: there the group of ours has them alone.
    if (options_.gvisor && !group().empty()) return {};
    const std::uint64_t bytes = memory + kMemorySlackBytes;
    json::object limits = {
        {"Memory", bytes},
        {"MemorySwap", bytes},
        // A sentry's threads are no tasks of the guest, whose number its own kernel limits.
        {"PidsLimit", options_.gvisor ? 0 : tasks + kOwnTasks + kTasksSlack}};
    // Below a group of ours a container has no rate of its own: v1 lets no group have less than one
    // below it.
    if (group().empty()) {
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
    const std::uint64_t files = open_files_max();  // what a program may have is init's to limit
    host["Ulimits"] = json::array{{{"Name", "nofile"}, {"Soft", files}, {"Hard", files}},
                                  {{"Name", "core"}, {"Soft", 1}, {"Hard", 1}}};
    if (options_.gvisor) host["Runtime"] = "runsc";
    if (!gpus_.empty()) host["DeviceRequests"] = gpu_request(gpus_);
    if (!group().empty()) host["CgroupParent"] = group();
    add_places(request, &host);
    return {
        {"Image", image_.name},
        {"User", "0:0"},
        {"Entrypoint", json::value_from(link_command())},
        {"Cmd", json::array{}},
        {"Env", own_environment()},
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
        {"Labels", owner_.labels(request.slot)},
        {"HostConfig", host}};
  }

  // Of the container's first process and of the hooks of its runtime, which are root: a name alone
  // takes away what the image has of that name. Programs are given it by the shim.
  json::array own_environment() const {
    json::array entries;
    for (const std::string& entry : image_.environment) {
      const std::string_view name = std::string_view(entry).substr(0, entry.find('='));
      if (!name.empty() && name != kGpuVariable) entries.emplace_back(name);
    }
    entries.emplace_back(gpu_variable(gpus_));
    return entries;
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
                          {"Source", owner_.volume_name(request.slot, part)},
                          {"Target", target},
                          {"ReadOnly", sealed == part},
                          {"VolumeOptions", {{"Labels", owner_.labels(request.slot)}}}});
      }
    }
    // Filled from outside, as root: it has to be a volume. It goes with the container.
    mounts.push_back({{"Type", "volume"}, {"Target", "/input"}});
    (*host)["Tmpfs"] = tmpfs;
    (*host)["Mounts"] = mounts;
  }

  const DockerOptions& options_;
  const DockerOwner& owner_;
  std::optional<Ready> ready_;
  std::string wanted_;  // the image, as it was asked for
  Image image_;
  bool image_is_to_blame_ = false;
  std::string name_;
  std::string said_;
  std::string directory_;          // of the group of ours that the container is below; empty: none
  std::vector<std::string> gpus_;  // as gpu_ids() gives them
  json::object limits_;
};

base::Status remove_surely(const Engine& engine, const std::string& target) {
  AIRLOCK_ASSIGN(const Answer removed, engine.remove(target));
  if (removed.status == kNoContent || removed.status == kNotFound) return {};
  return refused("remove " + target, removed);
}

class DockerTier final : public ContainerTier {
 public:
  // Without `ready` dockerd did not answer yet.
  DockerTier(DockerOptions options, DockerOwner owner, std::optional<Ready> ready)
      : options_(std::move(options)), owner_(std::move(owner)), ready_(std::move(ready)) {}

  jail::Tier tier() const override {
    return options_.gvisor ? jail::Tier::kDockerGvisor : jail::Tier::kDocker;
  }
  bool has_host_tasks() const override { return !options_.gvisor; }
  bool gives_devices() const override { return true; }
  bool has_images() const override { return true; }
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
        remove_surely(engine, "/containers/" + owner_.container_name(slot) + "?force=1&v=1"));
    for (const char* part : kVolumeParts) {
      AIRLOCK_TRY(remove_surely(engine, "/volumes/" + owner_.volume_name(slot, part) + "?force=1"));
    }
    return jail::WorkspaceStore::in_runtime(bytes, inodes);
  }
  void translate(std::uint32_t /*slot*/, jail::Exec* request,
                 jail::TranslatedWords* /*words*/) const override {
    if (options_.gvisor) request->pids += kOwnTasks;
  }
  void end_rest(std::uint32_t slot) const override {
    if (const auto engine = connect_to_clean()) {
      (void)engine->remove("/containers/" + owner_.container_name(slot) + "?force=1&v=1");
    }
    owner_.remove_foreign_groups(slot);
  }
  void sweep(const jail::SlotPool& slots) const override {
    if (const auto engine = connect_to_clean()) owner_.sweep(*engine, slots);
  }
  void end_workspace(std::uint32_t slot) const override {
    const auto engine = connect_to_clean();
    for (const char* part : kVolumeParts) {
      if (engine) (void)engine->remove("/volumes/" + owner_.volume_name(slot, part) + "?force=1");
    }
  }

 private:
  // Somebody waits for the end, and a later sweep finds what is not removed now.
  base::Result<Engine> connect_to_clean() const {
    return Engine::connect(options_.socket, kCleanTimeout);
  }
  const CommonOptions& common() const override { return options_.common; }
  std::unique_ptr<Runtime> make_runtime() const override {
    return std::make_unique<DockerRuntime>(options_, owner_, ready_);
  }

  const DockerOptions options_;
  const DockerOwner owner_;
  const std::optional<Ready> ready_;
};

base::Status check_runtime(const json::value& info) {
  const json::value* const runtimes = member(info, "Runtimes");
  if (runtimes != nullptr && member(*runtimes, "runsc") != nullptr) return {};
  return base::fail(base::ErrorCode::kUnavailable, "Docker does not know the runtime runsc",
                    "sudo runsc install, and restart dockerd");
}

base::Result<Ready> get_ready(const DockerOptions& options, const DockerOwner& owner) {
  AIRLOCK_ASSIGN(Engine engine, Engine::connect(options.socket, options.common.start_timeout));
  AIRLOCK_ASSIGN(const Answer info, engine.get("/info"));
  if (info.status != kOk) return refused("info", info);
  if (options.gvisor) AIRLOCK_TRY(check_runtime(info.body));
  // systemd takes slices of its own for parents only.
  const bool own_groups =
      text_of(info.body, "CgroupDriver") == "cgroupfs" && !owner.group_paths.empty();
  if (options.gvisor && !own_groups) {
    return base::fail(
        base::ErrorCode::kUnavailable,
        "docker+gvisor needs a dockerd whose cgroup driver is cgroupfs, and cgroups of "
        "our own: runsc cannot change limits of a container that runs",
        "execution.mode gvisor needs no dockerd");
  }
  return Ready{.engine = std::move(engine), .own_groups = own_groups};
}

}  // namespace

base::Result<std::unique_ptr<ContainerTier>> make_docker_tier(const DockerOptions& options,
                                                              const jail::LauncherHost& host) {
  AIRLOCK_ASSIGN(DockerOwner owner, DockerOwner::open(host, options.group_parent));
  std::optional<Ready> ready;
  if (auto found = get_ready(options, owner)) {
    ready = std::move(*found);
    if (auto image = find_image(ready->engine, options.image, options.common.programs)) {
      ready->image = std::move(*image);
    }
  }
  return std::make_unique<DockerTier>(options, std::move(owner), std::move(ready));
}

}  // namespace airlock::container
