#include "backend/native/native_backend.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <mutex>

#include "backend/native/native_durable.h"
#include "backend/native/native_layers.h"
#include "backend/native/native_process.h"
#include "backend/native/native_words.h"
#include "jail/channel.h"
#include "jail/grants.h"
#include "jail/launcher.h"
#include "jail/path_rules.h"
#include "jail/tier.h"
#include "jail/wire_durable.h"

namespace airlock::backend::native {
namespace {

using base::UniqueFd;

constexpr int kInitEndTimeoutMs = 30'000;
constexpr int kLauncherControlFd = 3;
constexpr int kLauncherDevicesFd = 4;

base::Result<std::pair<UniqueFd, UniqueFd>> make_channel() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return base::fail_errno("socketpair");
  }
  return std::pair(UniqueFd(pair[0]), UniqueFd(pair[1]));
}

base::Status check_sent(int error, const std::string& what) {
  if (error == 0) return {};
  if (error == EPIPE || error == ECONNRESET) {
    return base::fail(base::ErrorCode::kUnavailable, what + ": the keeper is gone");
  }
  return base::fail(base::errno_error(what, error));
}

base::Status check_tag(const ProcessSpec& spec) {
  const bool logs = spec.log.file.valid();
  if (!spec.tag.empty() == logs && !(logs && spec.terminal) &&
      logs == (spec.log.bytes_max.count() != 0)) {
    return {};
  }
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "a process has a tag and a log of at least 1 byte, or neither",
                    "a terminal has no log");
}

// Whether what is not ended explicitly ends with its caller.
enum class Life { kCallers, kDurable };

class NativeSandbox final : public Sandbox {
 public:
  NativeSandbox(int channel, SandboxSpec spec, Life life)
      : channel_(channel), spec_(std::move(spec)), life_(life) {}
  ~NativeSandbox() override {
    if (life_ == Life::kCallers) jail::send_message(channel_, jail::DestroySandbox{});
  }

  base::Status end() override {
    if (life_ == Life::kCallers) return not_durable();
    return check_sent(jail::send_message(channel_, jail::DestroySandbox{}), "end sandbox");
  }

  base::Result<std::unique_ptr<Process>> exec(ProcessSpec spec, Stdio stdio) override {
    AIRLOCK_TRY(check_words(spec.argv, "arguments"));
    AIRLOCK_TRY(check_words(spec.env, "environment"));
    const std::string argv = join_words(spec.argv);
    const std::string env = join_words(spec.env);
    if (argv.size() + env.size() > model::kArgumentBytesMax.count()) {
      return base::fail(base::ErrorCode::kLimitExceeded,
                        "arguments and environment are longer than " +
                            base::format_byte_count(model::kArgumentBytesMax));
    }
    jail::Exec request;
    request.terminal = spec.terminal;
    request.last = spec.last;
    request.wall_ms = static_cast<std::uint64_t>(spec.limits.wall_time.count());
    request.cpu_ms = static_cast<std::uint64_t>(spec.limits.cpu_time.count());
    request.memory_bytes = spec.limits.memory.count();
    request.pids = spec.limits.pids;
    request.cpu_rate_percent = spec.limits.cpu_rate_percent;
    request.open_files = spec.limits.open_files;
    request.cwd = spec.cwd;
    request.argv = list_words(argv, spec.argv);
    request.env = list_words(env, spec.env);
    AIRLOCK_TRY(check_tag(spec));
    request.tag = spec.tag;
    request.log_bytes_max = spec.log.bytes_max.count();
    AIRLOCK_ASSIGN(auto channel, make_channel());
    const bool logs = !spec.tag.empty();
    const int fds[] = {channel.second.get(), logs ? spec.log.file.get() : stdio.in.get(),
                       stdio.out.get(), stdio.err.get()};
    const std::span<const int> passed(fds, logs ? 2 : spec.terminal ? 1 : 4);
    const auto buffer = std::make_unique_for_overwrite<char[]>(jail::kMessageBytesMax);
    const std::string_view packet =
        jail::encode(request, std::span(buffer.get(), jail::kMessageBytesMax), passed.size());
    if (packet.empty())
      return base::fail(base::ErrorCode::kLimitExceeded, "the request is too long");
    AIRLOCK_TRY(check_sent(jail::send_packet(channel_, packet, passed), "exec"));
    return std::make_unique<NativeProcess>(std::move(channel.first), spec_);
  }

  base::Result<UniqueFd> take_listener() override {
    if (spec_.network != model::NetworkMode::kGateway) {
      if (life_ != Life::kDurable) return Sandbox::take_listener();
      // Adopted: the keeper has it still, or makes it now.
      const jail::Listen again{model::kGatewayPort};
      AIRLOCK_TRY(check_sent(jail::send_message(channel_, again), "open the gateway"));
      spec_.network = model::NetworkMode::kGateway;
    }
    return receive_listener(channel_);
  }

 private:
  int channel_;
  SandboxSpec spec_;
  Life life_;
};

class NativeWorkspace final : public Workspace {
 public:
  NativeWorkspace(UniqueFd channel, Life life) : channel_(std::move(channel)), life_(life) {}

  // Returns when the keeper has removed everything, which it tells by its end.
  ~NativeWorkspace() override {
    if (life_ == Life::kDurable) return;
    shutdown(channel_.get(), SHUT_WR);
    wait_for_end(channel_.get());
  }

  base::Status end() override {
    if (life_ == Life::kCallers) return not_durable();
    AIRLOCK_TRY(
        check_sent(jail::send_message(channel_.get(), jail::EndWorkspace{}), "end workspace"));
    if (wait_for_end(channel_.get())) return {};
    return base::fail(base::ErrorCode::kUnavailable, "the keeper takes too long to end",
                      "discard the workspace");
  }

  base::Status forget(const std::string& tag) override {
    if (life_ == Life::kCallers) return not_durable();
    return check_sent(jail::send_message(channel_.get(), jail::ForgetProcess{.tag = tag}),
                      "forget " + tag);
  }

  std::unique_ptr<Sandbox> adopted_sandbox(std::string profile) const {
    SandboxSpec spec;
    spec.seccomp_profile = std::move(profile);
    return std::make_unique<NativeSandbox>(channel_.get(), std::move(spec), life_);
  }

  // A keeper says nothing unasked, but that its sandbox has died.
  bool is_alive() const override {
    pollfd set = {channel_.get(), POLLIN, 0};
    return poll(&set, 1, 0) == 0;
  }

  base::Result<std::unique_ptr<Sandbox>> create_sandbox(SandboxSpec spec) override {
    AIRLOCK_TRY(check_words(spec.folders, "folders"));
    AIRLOCK_TRY(check_words(spec.devices, "devices"));
    const std::string folders = join_words(spec.folders);
    const std::string devices = join_words(spec.devices);
    const jail::CreateSandbox request{spec.seccomp_profile,
                                      spec.layer,
                                      list_words(folders, spec.folders),
                                      list_words(devices, spec.devices),
                                      spec.workspace == WorkspaceAccess::kRead,
                                      spec.image};
    AIRLOCK_TRY(check_sent(jail::send_message(channel_.get(), request), "create sandbox"));
    if (spec.network == model::NetworkMode::kGateway) {
      const jail::Listen listen{model::kGatewayPort};
      AIRLOCK_TRY(check_sent(jail::send_message(channel_.get(), listen), "open the gateway"));
    }
    return std::make_unique<NativeSandbox>(channel_.get(), std::move(spec), life_);
  }

  base::Status put_file(InputFile file) override {
    if (!jail::is_safe_path(file.path)) {
      return base::fail(base::ErrorCode::kInvalidArgument, "not a path for an input: " + file.path,
                        "relative, without '..', at most 1024 bytes and 64 parts");
    }
    const int fds[] = {file.content.get()};
    const jail::PutFile request{file.path, file.executable};
    return check_sent(jail::send_message(channel_.get(), request, fds), "put file");
  }

  base::Result<Collected> collect(CollectSpec spec) override {
    const std::string patterns = join_words(spec.patterns);
    jail::Collect request;
    request.directory = spec.directory;
    request.patterns = list_words(patterns, spec.patterns);
    request.files_max = spec.files_max;
    request.file_bytes_max = spec.file_bytes_max.count();
    request.total_bytes_max = spec.total_bytes_max.count();
    AIRLOCK_TRY(check_sent(jail::send_message(channel_.get(), request), "collect"));
    return receive_collected(channel_.get());
  }

  base::Result<KeptLayer> keep_layer(std::string name) override {
    return native::keep_layer(channel_.get(), name);
  }
  int channel() const { return channel_.get(); }

 private:
  UniqueFd channel_;
  Life life_;
};

Adopted to_adopted(AdoptedChannels channels) {
  auto workspace = std::make_unique<NativeWorkspace>(std::move(channels.channel), Life::kDurable);
  Adopted adopted;
  if (channels.has_sandbox) {
    adopted.sandbox = workspace->adopted_sandbox(std::move(channels.seccomp_profile));
  }
  for (AdoptedChannels::Process& process : channels.processes) {
    SandboxSpec spec;
    spec.seccomp_profile = std::move(process.seccomp_profile);
    adopted.processes.push_back(
        {std::move(process.tag),
         std::make_unique<NativeProcess>(std::move(process.channel), std::move(spec))});
  }
  adopted.workspace = std::move(workspace);
  return adopted;
}

// A launcher that dies before it says something gives nothing: the first run tells why.
int receive_tier(const UniqueFd& control) {
  std::uint8_t tier = 0;
  return recv(control.get(), &tier, sizeof tier, 0) == 1 ? tier
                                                         : static_cast<int>(jail::Tier::kRefused);
}

class NativeBackend final : public Backend {
 public:
  NativeBackend(pid_t launcher, UniqueFd control, pid_t init, int tier,
                std::vector<DeviceInfo> devices)
      : launcher_(launcher),
        control_(std::move(control)),
        init_(init),
        tier_(tier),
        devices_(std::move(devices)) {}

  ~NativeBackend() override {
    control_.reset();  // the launcher ends when it sees that
    int status = 0;
    while (launcher_ > 0 && waitpid(launcher_, &status, 0) < 0 && errno == EINTR) {}
    // Init has ended, or ends now: its channel closed with the launcher. As root we may not signal
    // it any more, without capabilities.
    for (int left = kInitEndTimeoutMs; init_ > 0 && left > 0; --left) {
      if (waitpid(init_, &status, WNOHANG) != 0) return;
      usleep(1'000);
    }
  }

  model::IsolationLevel level() override {
    const std::scoped_lock lock(tier_mutex_);
    if (tier_ < 0) tier_ = receive_tier(control_);
    return level_of(static_cast<jail::Tier>(tier_));
  }

  // Safe for several threads without a lock: nothing of ours changes, and a request is one packet,
  // which the socket takes whole or not at all. Its answer comes by a channel of its own.
  base::Result<std::unique_ptr<Workspace>> open_workspace(WorkspaceSpec spec) override {
    if (spec.name.empty()) return open(spec);
    AIRLOCK_ASSIGN(AdoptedChannels opened, open_durable(control_.get(), request_of(spec)));
    return std::move(to_adopted(std::move(opened)).workspace);
  }

  base::Result<Adopted> adopt_workspace(const std::string& name) override {
    AIRLOCK_ASSIGN(AdoptedChannels channels, adopt_durable(control_.get(), name));
    return to_adopted(std::move(channels));
  }
  base::Result<std::vector<std::string>> list_workspaces() override {
    return list_durable(control_.get());
  }
  base::Status discard_workspace(const std::string& name) override {
    return discard_durable(control_.get(), name);
  }

  base::Result<std::vector<LayerInfo>> list_layers() override {
    AIRLOCK_ASSIGN(const auto workspace, open(for_orders()));
    return native::list_layers(workspace->channel());
  }
  base::Result<bool> has_layer(std::string name) override {
    AIRLOCK_ASSIGN(const auto workspace, open(for_orders()));
    return native::has_layer(workspace->channel(), name);
  }
  base::Status remove_layer(std::string name) override {
    AIRLOCK_ASSIGN(const auto workspace, open(for_orders()));
    return native::remove_layer(workspace->channel(), name);
  }

  const DeviceInfo* find_device(std::string_view name) const override {
    const auto found = std::ranges::find(devices_, name, &DeviceInfo::name);
    return found == devices_.end() ? nullptr : &*found;
  }

 private:
  static jail::OpenWorkspace request_of(const WorkspaceSpec& spec) {
    return {spec.disk.count(), spec.inodes, spec.memory.count(), spec.reusable, spec.name};
  }

  // A keeper carries out orders about layers as well: what it opens for that is never used.
  static WorkspaceSpec for_orders() {
    return {.disk = base::mebibytes(1), .inodes = 16, .memory = {}};
  }

  base::Result<std::unique_ptr<NativeWorkspace>> open(const WorkspaceSpec& spec) {
    AIRLOCK_ASSIGN(auto channel, make_channel());
    const jail::OpenWorkspace request = request_of(spec);
    const int fds[] = {channel.second.get()};
    AIRLOCK_TRY(check_sent(jail::send_message(control_.get(), request, fds), "open workspace"));
    return std::make_unique<NativeWorkspace>(std::move(channel.first), Life::kCallers);
  }

  pid_t launcher_;
  UniqueFd control_;
  pid_t init_;
  std::mutex tier_mutex_;
  int tier_;  // -1: not read yet
  const std::vector<DeviceInfo> devices_;
};

const char* named_launcher() {
  const char* const path = std::getenv("AIRLOCK_JAIL");
  return path != nullptr && *path != '\0' ? path : nullptr;
}

std::string find_launcher(const Options& options) {
  if (!options.launcher_path.empty()) return options.launcher_path;
  if (const char* const path = named_launcher(); path != nullptr) return path;
  char own[4096];
  const ssize_t size = readlink("/proc/self/exe", own, sizeof own);
  if (size <= 0) return "airlock-jail";
  const std::string path(own, static_cast<std::size_t>(size));
  return path.substr(0, path.rfind('/') + 1) + "airlock-jail";
}

// Out of the way of the numbers that the launcher gets; invalid if there is no table.
base::Result<UniqueFd> seal_device_table(const std::string& table) {
  if (table.empty()) return UniqueFd();
  const UniqueFd fd(memfd_create("airlock-devices", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  const auto size = static_cast<ssize_t>(table.size());
  if (!fd.valid() || write(fd.get(), table.data(), table.size()) != size ||
      fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return base::fail_errno("pass on the table of devices");
  }
  return UniqueFd(fcntl(fd.get(), F_DUPFD_CLOEXEC, kLauncherDevicesFd + 1));
}

base::Result<std::vector<DeviceInfo>> read_devices(const std::string& table) {
  std::vector<DeviceInfo> devices;
  AIRLOCK_ASSIGN(const auto grants, jail::parse_device_table(table));
  for (const jail::DeviceGrant& grant : grants) devices.push_back({grant.name, grant.env});
  return devices;
}

base::Result<pid_t> spawn_launcher(const std::string& path, const Options& options,
                                   const UniqueFd& control) {
  // dup2 to itself would leave CLOEXEC set: our end must not be the number the launcher gets.
  UniqueFd theirs(fcntl(control.get(), F_DUPFD_CLOEXEC, kLauncherDevicesFd + 1));
  if (!theirs.valid()) return base::fail_errno("dup");
  AIRLOCK_ASSIGN(const UniqueFd devices, seal_device_table(options.device_table));
  std::vector<std::string> words = {"airlock-jail", "--control-fd",
                                    std::to_string(kLauncherControlFd)};
  words.insert(words.end(), options.launcher_words.begin(), options.launcher_words.end());
  if (!options.state_directory.empty())
    words.insert(words.end(), {"--state-dir", options.state_directory});
  for (const std::string& folder : options.folders) {
    words.insert(words.end(), {"--folder", folder});
  }
  if (devices.valid()) {
    words.insert(words.end(), {"--devices-fd", std::to_string(kLauncherDevicesFd)});
  }
  if (options.single) words.emplace_back("--single");
  words.emplace_back("--tell");
  if (options.allow_process) {
    words.insert(words.end(), {"--allow-tier", std::string(jail::kAllowedTier)});
  }
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), kLauncherControlFd);
  if (devices.valid()) {
    posix_spawn_file_actions_adddup2(&actions, devices.get(), kLauncherDevicesFd);
  }
  pid_t pid = -1;
  const int failure = posix_spawn(&pid, path.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure == 0) return pid;
  base::Error error = base::errno_error("start the launcher " + path, failure);
  error.hint = "airlock-jail and airlock-init belong beside airlock";
  return base::fail(std::move(error));
}

[[noreturn]] void be_launcher(UniqueFd control, const jail::BegunSandbox& begun,
                              bool allow_process) {
  prctl(PR_SET_NAME, "airlock-jail");
  jail::LauncherOptions launcher;
  launcher.single = true;
  launcher.tells_when_settled = true;
  launcher.allow_process = allow_process;
  const model::Limits usual;
  launcher.expected.disk_bytes = usual.disk.count();
  launcher.expected.inodes = usual.inodes;
  launcher.begun = begun;
  _exit(jail::run_launcher(std::move(launcher), std::move(control)));
}

// Everything of it belongs to the launcher, but for the process itself.
void let_go(const jail::BegunSandbox& begun) {
  for (const int fd : {begun.pidfd, begun.channel_fd, begun.program_fd, begun.slot_fd}) {
    if (fd >= 0) close(fd);
  }
}

}  // namespace

ForkedLauncher fork_launcher(jail::BegunSandbox begun, bool allow_process) {
  if (begun.pid <= 0) let_go(std::exchange(begun, {}));
  ForkedLauncher launcher{.init_pid = begun.pid};
  auto channel = make_channel();
  if (named_launcher() != nullptr || !channel.has_value()) {
    let_go(begun);
    return launcher;
  }
  auto& [ours, theirs] = *channel;
  launcher.pid = fork();
  if (launcher.pid == 0) {
    ours.reset();
    be_launcher(std::move(theirs), begun, allow_process);
  }
  let_go(begun);
  theirs.reset();
  if (launcher.pid < 0) return launcher;
  // Init would wait for the launcher if the launcher had to wait for us: on two processors, which
  // is what those two need, nothing of ours is as urgent. A launcher that died shows at the first
  // request.
  launcher.tier = receive_tier(ours);
  launcher.control_fd = ours.release();
  return launcher;
}

base::Result<std::unique_ptr<Backend>> start_backend(const Options& options) {
  if (options.forked.pid > 0) {
    return std::make_unique<NativeBackend>(options.forked.pid, UniqueFd(options.forked.control_fd),
                                           options.forked.init_pid, options.forked.tier,
                                           std::vector<DeviceInfo>());
  }
  AIRLOCK_ASSIGN(auto devices, read_devices(options.device_table));
  AIRLOCK_ASSIGN(auto channel, make_channel());
  AIRLOCK_ASSIGN(const pid_t pid, spawn_launcher(find_launcher(options), options, channel.second));
  return std::make_unique<NativeBackend>(pid, std::move(channel.first), options.forked.init_pid, -1,
                                         std::move(devices));
}

base::Result<std::unique_ptr<Backend>> connect_backend(UniqueFd control,
                                                       const std::string& device_table) {
  AIRLOCK_ASSIGN(auto devices, read_devices(device_table));
  const int tier = receive_tier(control);
  return std::make_unique<NativeBackend>(-1, std::move(control), -1, tier, std::move(devices));
}

}  // namespace airlock::backend::native
