#include "apps/airlock/serve.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "apps/airlock/daemon.h"
#include "apps/airlock/exit_codes.h"
#include "apps/airlock/listen_address.h"
#include "apps/airlock/print.h"
#include "apps/airlock/serve_options.h"
#include "apps/airlock/serve_settings.h"
#include "apps/airlock/ssh_settings.h"
#include "apps/airlock/supervisor.h"
#include "artifact/s3_config.h"
#include "backend/mode.h"
#include "base/ids.h"
#include "gpu/cdi.h"
#include "jail/grants.h"
#include "jail/launcher_host.h"
#include "telemetry/log.h"

namespace airlock::apps {
namespace {

using base::UniqueFd;

constexpr int kFirstActivatedFd = 3;  // sd_listen_fds(3)
constexpr std::size_t kMadeKeyBytes = 32;

bool is_tcp_listener(int fd) {
  int listens = 0;
  int family = 0;
  socklen_t size = sizeof listens;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0 &&
         ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 &&
         (family == AF_INET || family == AF_INET6);
}

// Sockets that the service manager has opened for us.
base::Result<std::vector<UniqueFd>> take_activated_sockets() {
  std::vector<UniqueFd> sockets;
  const char* const pid = std::getenv("LISTEN_PID");
  const char* const count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || std::to_string(::getpid()) != pid) return sockets;
  for (int fd = kFirstActivatedFd; fd < kFirstActivatedFd + std::atoi(count); ++fd) {
    if (!is_tcp_listener(fd)) {
      return base::fail(base::ErrorCode::kInvalidArgument,
                        "descriptor " + std::to_string(fd) +
                            " of the service manager is no TCP socket that listens",
                        "use ListenStream=ADDRESS:PORT in the socket unit");
    }
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    sockets.emplace_back(fd);
  }
  ::unsetenv("LISTEN_PID");
  ::unsetenv("LISTEN_FDS");
  return sockets;
}

base::Result<std::vector<UniqueFd>> open_listeners(const ServeOptions& options) {
  std::vector<UniqueFd> listeners;
  for (const ListenAddress& address : options.listen) {
    AIRLOCK_ASSIGN(UniqueFd listener, open_listener(address));
    listeners.push_back(std::move(listener));
  }
  return listeners;
}

// What anybody else could have put there is no key of ours.
base::Result<std::string> read_own_key(int fd, const std::string& path) {
  struct stat status{};
  const bool own = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                   status.st_uid == ::geteuid() && (status.st_mode & 077) == 0;
  if (!own) {
    return base::fail(base::ErrorCode::kPermissionDenied,
                      path + " can be read or was made by others", "remove it: a new key is made");
  }
  return read_key_from(fd, path);
}

// Who can be reached from other machines has a key; one that nobody chose is kept for the next
// start and shown once.
base::Result<std::string> make_key(const ServeOptions& options, const telemetry::Log& log) {
  const std::string& directory = options.state_directory;
  const std::string path = directory + "/api-key";
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  const UniqueFd known(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (known.valid()) return read_own_key(known.get(), path);
  base::SystemRandom random;
  std::string key = base::make_hex(kMadeKeyBytes, random);
  const UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return base::fail_errno("keep a new key in " + path);
  if (::write(file.get(), key.data(), key.size()) != std::ssize(key)) {
    return base::fail_errno("write " + path);
  }
  log.warning("serve.key_made", {{"reason", "listening beyond this machine needs a key"},
                                 {"kept_in", path},
                                 {"shown_once", key}});
  return key;
}

// Of the sockets as they are: a service manager may have opened them.
base::Result<bool> is_open_to_others(const std::vector<UniqueFd>& listeners) {
  for (const UniqueFd& listener : listeners) {
    AIRLOCK_ASSIGN(const std::string url, listener_url(listener.get()));
    AIRLOCK_ASSIGN(const ListenAddress address, parse_listen_address(url));
    if (!address.loopback) return true;
  }
  return false;
}

// For the daemon, which reads it when it starts, again and again: sealed, so that what one of them
// was made to do is nothing to the next.
base::Result<UniqueFd> seal(const char* name, const std::string& records) {
  // Why safe: a new descriptor with one owner; the bytes are those of a string.
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const auto size = static_cast<ssize_t>(records.size());
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  if (!fd.valid() || ::write(fd.get(), records.data(), records.size()) != size ||
      ::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return base::fail_errno(std::string("pass on ") + name);
  }
  return fd;
}

// /proc/PID/environ shows the memory that a process was started with: what was secret there is
// written over before it is unset.
void forget_secrets() {
  std::vector<std::string> names = {"AMON_SANDBOX_API_KEY"};
  for (const config::Setting& setting : serve_settings()) {
    if (setting.places == config::Places::kSecret) names.push_back(variable_of(setting));
  }
  for (const std::string& name : names) {
    // Why safe: the value lies in the environment of this process, which has one thread.
    if (char* const value = std::getenv(name.c_str())) {
      ::explicit_bzero(value, std::strlen(value));
    }
    ::unsetenv(name.c_str());
  }
}

void log_notices(const std::vector<Notice>& notices, const telemetry::Log& log) {
  if (notices.empty()) return;
  boost::json::array variables;
  for (const Notice& notice : notices) {
    variables.push_back({{"name", notice.variable}, {"reason", notice.reason}});
  }
  log.warning("serve.no_effect", {{"variables", std::move(variables)}});
}

// The table for the launcher, which would take none with a line that it does not like.
std::string find_devices(const ServeOptions& options, const telemetry::Log& log) {
  const gpu::CdiInventory found =
      gpu::read_cdi_directories(options.cdi_directories, gpu::find_host_node);
  for (const std::string& warning : found.warnings) log.warning("serve.cdi", {{"reason", warning}});
  std::string table;
  boost::json::array names;
  for (const gpu::CdiDevice& device : found.devices) {
    const std::string lines = gpu::encode_device(device);
    const auto checked = jail::parse_device_table(lines);
    const bool fits = table.size() + lines.size() <= jail::kDeviceTableBytesMax;
    if (checked && fits) {
      table += lines;
      names.emplace_back(device.name);
    } else {
      const std::string why = checked ? "there is too much of it" : checked.error().to_string();
      log.warning("serve.cdi", {{"reason", device.name + " is left out: " + why}});
    }
  }
  if (!names.empty()) log.info("serve.devices", {{"names", std::move(names)}});
  return table;
}

std::vector<std::string> broker_words(const std::string& program, const std::string& backend,
                                      const ServeOptions& options) {
  const ExecutionOptions& execution = options.execution;
  std::vector<std::string> words = {program,
                                    "--backend",
                                    backend,
                                    "--gvisor-program",
                                    execution.gvisor_program,
                                    "--gvisor-platform",
                                    execution.gvisor_platform,
                                    "--gvisor-file-access",
                                    execution.gvisor_file_access,
                                    "--docker-socket",
                                    execution.docker_socket,
                                    "--docker-image",
                                    execution.docker_image,
                                    "--image-pull",
                                    execution.image_pull,
                                    "--start-timeout-ms",
                                    std::to_string(execution.start_timeout.count()),
                                    "--state-dir",
                                    options.state_directory,
                                    "--tell"};
  for (const std::string& image : execution.images) {
    words.insert(words.end(), {"--allow-image", image});
  }
  for (const std::string& folder : options.folders) {
    words.insert(words.end(), {"--folder", folder});
  }
  return words;
}

base::Result<SupervisorOptions> prepare(config::Values& values, ServeOptions& options,
                                        const telemetry::Log& log) {
  SupervisorOptions supervisor;
  // Where that is depends on who asks, and the daemon of root becomes somebody else.
  if (options.state_directory.empty()) {
    options.state_directory = jail::default_state_directory();
    values.put("state_dir", {{options.state_directory}, config::Layer::kFlag, "the supervisor"});
  }
  AIRLOCK_ASSIGN(supervisor.listeners, take_activated_sockets());
  if (supervisor.listeners.empty()) {
    AIRLOCK_ASSIGN(supervisor.listeners, open_listeners(options));
  } else if (values.is_set("listen")) {
    log_notices({{values.of("listen").origin, "the service manager has opened the sockets"}}, log);
  }
  AIRLOCK_ASSIGN(const bool open_to_others, is_open_to_others(supervisor.listeners));
  if (options.api_key.empty() && open_to_others) {
    AIRLOCK_ASSIGN(options.api_key, make_key(options, log));
  }
  if (options.metrics.port) {
    AIRLOCK_ASSIGN(const ListenAddress address, parse_listen_address(options.metrics.url()));
    AIRLOCK_ASSIGN(UniqueFd listener, open_listener(address));
    supervisor.listeners.push_back(std::move(listener));  // the last one: the daemon knows it so
  }
  // The daemon may not be able to read the file.
  values.forget("api_key_file");
  if (!options.api_key.empty()) {
    values.put("api_key", {{options.api_key}, config::Layer::kFlag, "the supervisor"});
  }
  if (options.jobs.ssh) pass_ssh_key_on(values, *options.jobs.ssh);
  AIRLOCK_ASSIGN(supervisor.config, seal("airlock-config", values.encode()));
  AIRLOCK_ASSIGN(supervisor.devices, seal("airlock-devices", find_devices(options, log)));
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return base::fail(base::ErrorCode::kIo, "where this program is: " + error.message());
  supervisor.daemon_words = {self.string(), "serve"};
  const char* const launcher = std::getenv("AIRLOCK_JAIL");
  supervisor.launcher_words = {
      launcher != nullptr ? std::string(launcher) : (self.parent_path() / "airlock-jail").string()};
  supervisor.launcher_words.insert(supervisor.launcher_words.end(),
                                   {"--state-dir", options.state_directory});
  for (const std::string& folder : options.folders) {
    supervisor.launcher_words.insert(supervisor.launcher_words.end(), {"--folder", folder});
  }
  supervisor.launcher_words.emplace_back("--tell");
  if (!options.allow_tier.empty()) {
    supervisor.launcher_words.insert(supervisor.launcher_words.end(),
                                     {"--allow-tier", options.allow_tier});
  }
  for (const std::string& name : options.execution.chain()) {
    if (name == backend::kDirect) continue;
    supervisor.broker_words.push_back(
        broker_words((self.parent_path() / "airlock-broker").string(), name, options));
  }
  return supervisor;
}

// What the rows of the table cannot check: `airlock` has them, too, and is not to carry the library
// of S3.
base::Status check_s3(const config::Values& values, const artifact::S3Settings& s3) {
  const auto check = [&values](std::string_view name, const auto& parsed) -> base::Status {
    if (parsed.has_value()) return {};
    return base::fail(values.refuse(name, parsed.error()));
  };
  if (!s3.endpoint.empty()) {
    AIRLOCK_TRY(check("storage.s3_endpoint", artifact::parse_endpoint(s3.endpoint)));
  }
  AIRLOCK_TRY(check("storage.s3_style", artifact::parse_style(s3.style)));
  return check("storage.s3_region", artifact::check_region(s3.region));
}

int fail_with(const base::Error& error) {
  print_error(error);
  return error.code == base::ErrorCode::kInvalidArgument ? kExitUsage : kExitFailed;
}

int run_as_daemon(const char* names) {
  auto fds = take_daemon_fds(names);
  ::unsetenv(kDaemonFdsVariable);
  if (!fds) return fail_with(fds.error());
  const auto records = read_whole(fds->config.get());
  if (!records) return fail_with(records.error());
  const auto config = decode_serve_config(*records);
  if (!config) return fail_with(config.error());
  const auto options = make_serve_options(config->values);
  if (!options) return fail_with(options.error());
  fds->config.reset();
  take_brokers(*fds, *options);
  return run_daemon(std::move(*fds), *options, telemetry::Log(STDERR_FILENO, options->log_level));
}

int run_as_supervisor(ServeConfig config) {
  auto options = make_serve_options(config.values);
  if (!options) return fail_with(options.error());
  if (const auto checked = check_s3(config.values, options->s3); !checked) {
    return fail_with(checked.error());
  }
  if (config.print_only) {
    std::string text = config.values.describe();
    if (!config.notices.empty()) text += "\n# Variables without effect\n";
    for (const Notice& notice : config.notices) {
      text += "# " + notice.variable + ": " + notice.reason + "\n";
    }
    (void)std::fputs(text.c_str(), stdout);
    return 0;
  }
  const telemetry::Log log(STDERR_FILENO, options->log_level);
  log_notices(config.notices, log);
  auto supervisor = prepare(config.values, *options, log);
  if (!supervisor) return fail_with(supervisor.error());
  forget_secrets();
  return supervise(std::move(*supervisor), log);
}

}  // namespace

int serve(const std::vector<std::string>& words) {
  if (const char* const names = std::getenv(kDaemonFdsVariable)) return run_as_daemon(names);
  auto read = read_serve_config(words, config::own_environment());
  if (!read) return fail_with(read.error());
  if (const auto* const help = std::get_if<ServeHelp>(&*read)) {
    (void)std::fputs(help->text.c_str(), stdout);
    return 0;
  }
  return run_as_supervisor(std::move(std::get<ServeConfig>(*read)));
}

}  // namespace airlock::apps
