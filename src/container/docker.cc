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

#include "container/runtime.h"
#include "container/shim.h"
#include "container/tar.h"
#include "docker/engine.h"
#include "jail/sandbox_layout.h"
#include "jail/workspace_store.h"
#include "sys/files.h"

namespace airlock::container {
namespace {

namespace json = boost::json;
using base::UniqueFd;
using docker::Answer;
using docker::Engine;

constexpr unsigned kOk = 200;
constexpr unsigned kCreated = 201;
constexpr unsigned kNoContent = 204;
constexpr unsigned kNotFound = 404;
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
constexpr const char* kGroupParent = "airlock";  // jail::LauncherOptions::cgroup_parent
constexpr const char* kHierarchies = "/sys/fs/cgroup";
constexpr const char* kImageName = "airlock-run";

// FNV-1a, as everywhere where a name is to differ and nobody is to be kept out.
std::string short_hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char byte : text) {
    value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  char digits[20];
  std::snprintf(digits, sizeof digits, "%016lx", static_cast<unsigned long>(value));
  return std::string(digits, 12);
}

auto refused(const std::string& what, const Answer& answer) {
  return base::fail(base::ErrorCode::kUnavailable, "Docker: " + what + ": " + answer.message());
}

std::string text_of(const json::value& value, std::string_view name) {
  const json::object* const object = value.if_object();
  const json::value* const found = object != nullptr ? object->if_contains(name) : nullptr;
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : std::string();
}

// "mode=0755,size=N,nr_inodes=M", of a workspace store.
std::string number_after(const std::string& options, std::string_view name) {
  const std::size_t at = options.find(name);
  if (at == std::string::npos) return "0";
  const std::size_t start = at + name.size();
  return options.substr(start, options.find(',', start) - start);
}

struct Template {
  std::string image;  // id of the one with our programs
  std::string owner;  // of containers and volumes: this state directory
  std::uint64_t open_files = 0;
  std::vector<std::string> group_paths;  // of our groups, in each hierarchy
  bool own_groups = true;                // dockerd can put a container below a cgroup of ours
};

std::string container_name(const Template& made, std::uint32_t slot) {
  return "airlock-" + made.owner + "-s" + std::to_string(slot);
}
std::string volume_name(const Template& made, std::uint32_t slot, const char* part) {
  return container_name(made, slot) + "-" + part;
}

json::object labels_of(const Template& made, std::uint32_t slot) {
  return {{kOwnerLabel, made.owner}, {kSlotLabel, std::to_string(slot)}};
}

// The parts of a workspace that are written to, but for shared memory.
constexpr const char* kVolumeParts[] = {"workspace", "tmp", "output", "build"};

// "/airlock/s3.0": where the group is in every hierarchy, told by one of its entrances, which is a
// file in it.
std::string group_of(const ContainerRequest& request) {
  if (request.entrances.empty()) return {};
  char target[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(request.entrances[0].get());
  const ssize_t size = readlink(link.c_str(), target, sizeof target);
  const std::string path(target, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  const std::size_t start = path.find(std::string("/") + kGroupParent + "/");
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
// removes it in those that it uses.
void remove_foreign_groups(const Template& made, std::uint32_t slot) {
  const std::string own = "s" + std::to_string(slot);
  sys::Directory hierarchies(AT_FDCWD, kHierarchies);
  while (const char* name = hierarchies.valid() ? hierarchies.next() : nullptr) {
    const std::string path = std::string(kHierarchies) + "/" + name + "/" + kGroupParent;
    if (std::ranges::find(made.group_paths, path) != made.group_paths.end()) continue;
    sys::Directory groups(AT_FDCWD, path.c_str());
    std::vector<std::string> found;
    while (const char* group = groups.valid() ? groups.next() : nullptr) {
      const std::string_view text = group;
      if (text == own || text.starts_with(own + ".")) found.emplace_back(group);
    }
    for (const std::string& group : found) remove_empty(groups.fd(), group);
  }
}

class DockerRuntime final : public Runtime {
 public:
  DockerRuntime(const DockerOptions& options, const Engine& engine, const Template& made)
      : options_(options), engine_(engine), template_(made) {}

  base::Result<Container> start(ContainerRequest request) override {
    name_ = container_name(template_, request.slot);
    AIRLOCK_TRY(engine_.remove("/containers/" + name_ + "?force=1&v=1"));
    AIRLOCK_ASSIGN(const Answer made,
                   engine_.post("/containers/create?name=" + name_, describe(request)));
    if (made.status != kCreated) return refused("create a container", made);
    Container container;
    AIRLOCK_ASSIGN(container.in, engine_.attach(name_));
    container.out.reset(fcntl(container.in.get(), F_DUPFD_CLOEXEC, 3));
    AIRLOCK_ASSIGN(const Answer started, engine_.post("/containers/" + name_ + "/start"));
    if (started.status != kNoContent) return refused("start a container", started);
    container.unwrap = [this](std::string* wrapped, std::string* plain) {
      said_.clear();
      return docker::unwrap(wrapped, plain, &said_);
    };
    return container;
  }

  int limit(const jail::Exec& request) override {
    const json::object wanted =
        limits_of(request.memory_bytes, request.pids, request.cpu_rate_percent);
    if (wanted == limits_) return 0;
    const auto answer = engine_.post("/containers/" + name_ + "/update", wanted);
    if (!answer || answer->status != kOk) return EIO;
    limits_ = wanted;
    return 0;
  }

  int put_input(const jail::PutFile& request, const UniqueFd& content) override {
    struct stat status{};
    if (fstat(content.get(), &status) != 0) return errno;
    const auto size = static_cast<std::uint64_t>(status.st_size);
    auto head = tar_head({.path = std::string(request.path.substr(std::strlen("input/"))),
                          .mode = request.executable ? 0755u : 0644u,
                          .size = size});
    if (!head) return ENAMETOOLONG;
    const auto answer = engine_.put_tar("/containers/" + name_ + "/archive?path=/input", *head,
                                        content, size, tar_padding(size) + tar_end());
    return answer && answer->status == kOk ? 0 : EIO;
  }

 private:
  json::object limits_of(std::uint64_t memory, std::uint32_t tasks, std::uint32_t rate) const {
    const std::uint64_t bytes = memory + kMemorySlackBytes;
    return {{"Memory", bytes},
            {"MemorySwap", bytes},
            // A sentry's threads are no tasks of the guest, whose number its own kernel limits.
            {"PidsLimit", options_.gvisor ? 0 : tasks + kOwnTasks + kTasksSlack},
            {"NanoCpus", rate * kNanoCpusPerPercent}};
  }

  json::object describe(const ContainerRequest& request) {
    limits_ = limits_of(kMemoryBytesAhead, kTasksAhead, 0);
    json::object host = limits_;
    host["NetworkMode"] = "none";
    host["ReadonlyRootfs"] = true;
    host["CapDrop"] = json::array{"ALL"};
    host["SecurityOpt"] = json::array{"no-new-privileges"};
    host["IpcMode"] = "private";
    host["LogConfig"] = {{"Type", "none"}};
    host["RestartPolicy"] = {{"Name", "no"}};
    // What a program may have is init's to limit; more than dockerd has itself it cannot give.
    host["Ulimits"] = json::array{
        {{"Name", "nofile"}, {"Soft", template_.open_files}, {"Hard", template_.open_files}},
        {{"Name", "core"}, {"Soft", 1}, {"Hard", 1}}};
    if (options_.gvisor) host["Runtime"] = "runsc";
    const std::string group = template_.own_groups ? group_of(request) : std::string();
    if (!group.empty()) host["CgroupParent"] = group;
    add_places(request, &host);
    const std::string folder = kProgramsFolder;
    const std::string user = std::to_string(kNobody) + ":" + std::to_string(kNobody);
    return {{"Image", template_.image},
            {"User", user},
            {"Entrypoint", {folder + "/airlock-link", folder + "/airlock-init"}},
            {"Cmd", json::array{}},
            {"Env", json::array{}},
            {"WorkingDir", "/"},
            {"Hostname", "airlock"},
            {"NetworkDisabled", true},
            {"Tty", false},
            {"OpenStdin", true},
            {"StdinOnce", true},
            {"AttachStdin", true},
            {"AttachStdout", true},
            {"AttachStderr", true},
            {"Labels", labels_of(template_, request.slot)},
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
    for (const char* part : kVolumeParts) {
      const std::string target = std::string("/") + part;
      if (in_memory) {
        tmpfs[target] = options(std::strcmp(part, "tmp") == 0 ? "1777" : "0755");
      } else {
        mounts.push_back({{"Type", "volume"},
                          {"Source", volume_name(template_, request.slot, part)},
                          {"Target", target},
                          {"VolumeOptions", {{"Labels", labels_of(template_, request.slot)}}}});
      }
    }
    // Filled from outside, as root; what is put there has to be a volume. It goes with the container.
    mounts.push_back({{"Type", "volume"}, {"Target", "/input"}});
    (*host)["Tmpfs"] = tmpfs;
    (*host)["Mounts"] = mounts;
  }

  const DockerOptions& options_;
  const Engine& engine_;
  const Template& template_;
  std::string name_;
  std::string said_;
  json::object limits_;
};

class DockerTier final : public jail::LowerTier {
 public:
  DockerTier(DockerOptions options, Engine engine, Template made)
      : options_(std::move(options)), engine_(std::move(engine)), template_(std::move(made)) {}

  jail::Tier tier() const override {
    return options_.gvisor ? jail::Tier::kDockerGvisor : jail::Tier::kDocker;
  }
  bool is_container() const override { return true; }
  bool has_host_tasks() const override { return !options_.gvisor; }
  std::uint32_t missing() const override {
    std::uint32_t missing =
        jail::kLacksUidRange | jail::kLacksSupplementaryGroups | jail::kLacksDiskQuota;
    if (options_.gvisor) missing |= jail::kLacksCgroupPids | jail::kLacksPidsPeak;
    if (!template_.own_groups) missing |= jail::kLacksMemoryPeak | jail::kLacksPidsPeak;
    return missing;
  }
  sys::RawChild start_init(std::uint32_t slot, int channel_fd) const override {
    return start_shim({.slot = slot,
                       .channel_fd = channel_fd,
                       .scratch_directory = options_.run_directory,
                       .make_runtime = [this]() -> std::unique_ptr<Runtime> {
                         return std::make_unique<DockerRuntime>(options_, engine_, template_);
                       }});
  }
  jail::StageFailure describe(std::uint32_t /*slot*/, jail::ViewSetup* view,
                              std::string* /*words*/) const override {
    view->skeleton = "/";
    return {};
  }
  base::Result<jail::WorkspaceStore> make_store(std::uint32_t /*slot*/, std::uint64_t bytes,
                                                std::uint32_t inodes) const override {
    return jail::WorkspaceStore::in_runtime(bytes, inodes);
  }
  void translate(std::uint32_t /*slot*/, jail::Exec* request,
                 jail::TranslatedWords* /*words*/) const override {
    if (options_.gvisor) request->pids += kOwnTasks;
  }
  std::uint64_t memory_bytes(pid_t /*init*/) const override { return 0; }
  void end_rest(std::uint32_t slot) const override {
    (void)engine_.remove("/containers/" + container_name(template_, slot) + "?force=1&v=1");
    if (template_.own_groups) remove_foreign_groups(template_, slot);
  }
  void end_workspace(std::uint32_t slot) const override {
    for (const char* part : kVolumeParts) {
      (void)engine_.remove("/volumes/" + volume_name(template_, slot, part) + "?force=1");
    }
  }

 private:
  const DockerOptions options_;
  const Engine engine_;
  const Template template_;
};

// --- the image ------------------------------------------------------------------------------------

base::Result<std::string> read_program(const std::string& path) {
  AIRLOCK_ASSIGN(const UniqueFd file, sys::open_at(AT_FDCWD, path.c_str(), O_RDONLY));
  std::string text;
  char chunk[64 * 1024];
  for (ssize_t count = 0; (count = read(file.get(), chunk, sizeof chunk)) > 0;) {
    text.append(chunk, static_cast<std::size_t>(count));
  }
  return text;
}

struct Layer {
  std::string tar;
  std::string stamp;
};

// The programs, and the places that a workspace's parts are mounted at: a new volume has owner and
// mode of what the image has there.
base::Result<Layer> make_layer(const std::string& programs) {
  Layer layer;
  const auto add = [&](const TarEntry& entry, std::string_view content) -> base::Status {
    AIRLOCK_ASSIGN(const std::string head, tar_head(entry));
    layer.tar += head;
    layer.tar.append(content);
    layer.tar += tar_padding(content.size());
    return {};
  };
  const std::string folder(std::string(kProgramsFolder).substr(1));
  AIRLOCK_TRY(add({.path = folder + "/", .is_folder = true, .mode = 0755}, {}));
  for (const char* name : {"airlock-link", "airlock-init"}) {
    AIRLOCK_ASSIGN(const std::string program, read_program(programs + "/" + name));
    AIRLOCK_TRY(add({.path = folder + "/" + name, .mode = 0755, .size = program.size()}, program));
  }
  for (const char* part : kVolumeParts) {
    const bool is_tmp = std::strcmp(part, "tmp") == 0;
    AIRLOCK_TRY(add({.path = std::string(part) + "/",
                     .is_folder = true,
                     .mode = is_tmp ? 01777u : 0755u,
                     .owner = is_tmp ? 0 : kNobody},
                    {}));
  }
  AIRLOCK_TRY(add({.path = "input/", .is_folder = true, .mode = 0755}, {}));
  layer.tar += tar_end();
  layer.stamp = short_hash(layer.tar);
  return layer;
}

// By a container that never starts: its root plus the layer, kept under a name that tells of both.
base::Result<std::string> make_image(const Engine& engine, const std::string& base_id,
                                     const Layer& layer, const std::string& name) {
  const json::object plan = {{"Image", base_id}, {"Entrypoint", {"/none"}}, {"Cmd", json::array{}}};
  AIRLOCK_ASSIGN(const Answer made, engine.post("/containers/create", plan));
  if (made.status != kCreated) return refused("prepare an image", made);
  const std::string id = text_of(made.body, "Id");
  const auto put = engine.put_tar("/containers/" + id + "/archive?path=/", layer.tar);
  base::Result<std::string> image = base::fail(base::ErrorCode::kUnavailable, "");
  if (put && put->status == kOk) {
    const std::size_t colon = name.find(':');
    const auto kept = engine.post("/commit?container=" + id + "&repo=" + name.substr(0, colon) +
                                  "&tag=" + name.substr(colon + 1));
    if (!kept) {
      image = base::fail(kept.error());
    } else if (kept->status == kCreated) {
      image = text_of(kept->body, "Id");
    } else {
      image = refused("keep an image", *kept);
    }
  } else if (put) {
    image = refused("add to an image", *put);
  } else {
    image = base::fail(put.error());
  }
  (void)engine.remove("/containers/" + id + "?force=1&v=1");
  return image;
}

base::Result<std::string> find_image(const Engine& engine, const DockerOptions& options) {
  AIRLOCK_ASSIGN(const Answer found, engine.get("/images/" + options.image + "/json"));
  if (found.status == kNotFound) {
    return base::fail(base::ErrorCode::kUnavailable, "Docker has no image " + options.image,
                      "pull or import one, or name another by execution.docker_image");
  }
  if (found.status != kOk) return refused("look for " + options.image, found);
  const std::string base_id = text_of(found.body, "Id");
  AIRLOCK_ASSIGN(const Layer layer, make_layer(options.programs));
  const std::string name = std::string(kImageName) + ":" + short_hash(base_id) + "-" + layer.stamp;
  AIRLOCK_ASSIGN(const Answer made, engine.get("/images/" + name + "/json"));
  if (made.status == kOk) return text_of(made.body, "Id");
  return make_image(engine, base_id, layer, name);
}

// --- what dead owners left ------------------------------------------------------------------------

std::optional<std::uint32_t> slot_of(const json::value& entry) {
  const json::object* const object = entry.if_object();
  const json::value* const labels = object != nullptr ? object->if_contains("Labels") : nullptr;
  if (labels == nullptr) return std::nullopt;
  const std::string text = text_of(*labels, kSlotLabel);
  std::uint32_t slot = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), slot);
  if (error != std::errc() || text.empty()) return std::nullopt;
  return slot;
}

std::string label_filter(const Template& made) {
  return "filters=%7B%22label%22%3A%5B%22" + std::string(kOwnerLabel) + "%3D" + made.owner +
         "%22%5D%7D";
}

// Of slots that nobody holds.
void sweep(const Engine& engine, const Template& made, const jail::SlotPool& slots) {
  const auto containers = engine.get("/containers/json?all=1&" + label_filter(made));
  if (containers && containers->body.is_array()) {
    for (const json::value& entry : containers->body.as_array()) {
      const auto slot = slot_of(entry);
      if (!slot.has_value()) continue;
      const jail::Slot held = slots.try_take(*slot);
      if (!held.valid()) continue;
      (void)engine.remove("/containers/" + text_of(entry, "Id") + "?force=1&v=1");
    }
  }
  const auto volumes = engine.get("/volumes?" + label_filter(made));
  const json::object* const body = volumes ? volumes->body.if_object() : nullptr;
  const json::value* const list = body != nullptr ? body->if_contains("Volumes") : nullptr;
  if (list == nullptr || !list->is_array()) return;
  for (const json::value& entry : list->as_array()) {
    const auto slot = slot_of(entry);
    if (!slot.has_value()) continue;
    const jail::Slot held = slots.try_take(*slot);
    if (held.valid()) (void)engine.remove("/volumes/" + text_of(entry, "Name") + "?force=1");
  }
}

base::Status check_runtime(const json::value& info) {
  const json::object* const object = info.if_object();
  const json::value* const runtimes = object != nullptr ? object->if_contains("Runtimes") : nullptr;
  if (runtimes != nullptr && runtimes->is_object() &&
      runtimes->as_object().if_contains("runsc") != nullptr) {
    return {};
  }
  return base::fail(base::ErrorCode::kUnavailable, "Docker does not know the runtime runsc",
                    "sudo runsc install, and restart dockerd");
}

}  // namespace

base::Result<std::unique_ptr<jail::LowerTier>> make_docker_tier(const DockerOptions& options,
                                                                const jail::LauncherHost& host) {
  AIRLOCK_ASSIGN(Engine engine, Engine::connect(options.socket));
  AIRLOCK_ASSIGN(const Answer info, engine.get("/info"));
  if (info.status != kOk) return refused("info", info);
  if (options.gvisor) AIRLOCK_TRY(check_runtime(info.body));
  Template made;
  made.owner = short_hash(host.state_directory);
  // systemd takes slices of its own for parents only.
  made.own_groups =
      text_of(info.body, "CgroupDriver") == "cgroupfs" && host.cgroups.controllers != 0;
  for (const sys::CgroupHierarchy& hierarchy : host.cgroups.hierarchies) {
    made.group_paths.push_back(hierarchy.path);
  }
  rlimit own{};
  getrlimit(RLIMIT_NOFILE, &own);
  made.open_files = std::min<std::uint64_t>(
      {kOpenFilesMax, own.rlim_max,
       sys::read_number_at(AT_FDCWD, kOpenFilesOfHost).value_or(kOpenFilesMax)});
  sweep(engine, made, host.slots);
  AIRLOCK_ASSIGN(made.image, find_image(engine, options));
  return std::make_unique<DockerTier>(options, std::move(engine), std::move(made));
}

}  // namespace airlock::container
