#include "apps/airlock/daemon_jobs.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <utility>

#include "base/ids.h"
#include "gpu/nvml.h"
#include "gpu/pool.h"
#include "receipt/digest.h"
#include "receipt/signing_key.h"
#include "runner/jobs/job_files.h"
#include "runner/jobs/job_service.h"
#include "runner/jobs/pool_leases.h"
#include "store/sqlite/sqlite_job_store.h"

namespace airlock::apps {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHostCertificates = "/etc/ssl/certs/ca-certificates.crt";
constexpr std::size_t kCertificatesMax = 4u << 20;
constexpr std::size_t kPackageListMax = 64u << 20;

// Of this host, less a tenth that is for everybody else.
base::ByteCount most_of(std::uint64_t bytes) { return base::ByteCount(bytes / 10 * 9); }

base::Result<model::Resources> measure_host(const runner::JobSettings& settings) {
  model::Resources host = settings.host;
  if (host.cpu_millis == 0) {
    host.cpu_millis = static_cast<std::uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN)) * 1'000;
  }
  if (host.memory.count() == 0) {
    host.memory = most_of(static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                          static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  }
  if (host.disk.count() == 0) {
    struct statvfs status{};
    if (::statvfs(settings.directory.c_str(), &status) != 0) {
      base::Error error =
          base::errno_error("look how large " + settings.directory.string() + " is");
      error.hint = "the folders above it have to let the user of the service pass";
      return base::fail(std::move(error));
    }
    host.disk = most_of(std::uint64_t{status.f_bavail} * status.f_frsize);
  }
  return host;
}

// The service has a user of its own, and what a run as root made before is closed to it. Passing is
// all that this allows: each folder in it says for itself who may look in.
base::Status let_pass(const fs::path& folder) {
  const base::UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) {
    return base::fail_errno("open " + folder.string());
  }
  if (::geteuid() != 0 || status.st_uid != 0) return {};
  if (::fchmod(fd.get(), (status.st_mode & 07777) | 0111) != 0) {
    return base::fail_errno("let the service pass through " + folder.string());
  }
  return {};
}

base::Status make_owned(const fs::path& folder, mode_t mode, uid_t uid, gid_t gid) {
  if (::mkdir(folder.c_str(), mode) != 0 && errno != EEXIST) {
    return base::fail_errno("make " + folder.string());
  }
  // A link that somebody put there would have its target given away.
  const base::UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return base::fail_errno("open " + folder.string());
  if (::geteuid() == 0 && ::fchown(fd.get(), uid, gid) != 0) {
    return base::fail_errno("give " + folder.string() + " to the service");
  }
  return {};
}

// Of one that was taken away nothing is shown that may be old, only whether a job has it.
telemetry::GpuReading reading_of(const gpu::GpuStatus& gpu) {
  telemetry::GpuReading reading{.id = gpu.reading.id,
                                .allocated = !gpu.holder.empty(),
                                .utilization_percent = {},
                                .temperature_celsius = {},
                                .memory_used_bytes = {},
                                .memory_total_bytes = {}};
  using enum gpu::GpuState;
  if (gpu.state == kOffline || gpu.state == kError) return reading;
  reading.utilization_percent = gpu.reading.utilization_percent;
  reading.temperature_celsius = gpu.reading.temperature_celsius;
  reading.memory_used_bytes = gpu.reading.memory_used.count();
  reading.memory_total_bytes = gpu.reading.memory_total.count();
  return reading;
}

class OpenJobs final : public DaemonJobs {
 public:
  explicit OpenJobs(const ServeOptions& options)
      : settings_(options.jobs),
        storage_{.file_roots = {},
                 .s3 = options.s3,
                 .environment = artifact::process_environment(),
                 .retry = options.s3_retry} {}
  ~OpenJobs() override { stop(); }

  base::Status open(const ServeOptions& options, backend::Backend& backend,
                    egress::Gateway& gateway, const http::RunCatalog& catalog,
                    const base::Clock& clock, const telemetry::Log& log,
                    runner::JobObserver& observer);
  runner::JobApi& api() override { return *service_; }
  void read(telemetry::Readings& readings) override;
  void stop() override {
    if (service_ != nullptr) service_->stop();
  }

 private:
  base::Status open_gpus(const ServeOptions& options, const backend::Backend& backend,
                         const base::Clock& clock, const telemetry::Log& log);

  base::SystemRandom random_;  // without a state: safe from any thread
  runner::JobSettings settings_;
  artifact::StorageConfig storage_;
  std::unique_ptr<receipt::SigningKey> key_;
  std::unique_ptr<store::JobStore> store_;
  std::unique_ptr<gpu::Nvml> nvml_;
  std::unique_ptr<gpu::Pool> pool_;
  std::unique_ptr<runner::PoolLeases> gpus_;
  std::unique_ptr<runner::JobFiles> files_;
  std::unique_ptr<runner::JobService> service_;
};

base::Status OpenJobs::open_gpus(const ServeOptions& options, const backend::Backend& backend,
                                 const base::Clock& clock, const telemetry::Log& log) {
  gpu::PoolOptions pool;
  pool.types.fallback = settings_.gpu_type;
  if (settings_.gpu_type_is_wanted) pool.types.override_type = settings_.gpu_type;
  nvml_ = std::make_unique<gpu::Nvml>(gpu::NvmlOptions{.path = options.nvml_path});
  pool_ = std::make_unique<gpu::Pool>(*nvml_, pool, clock);
  AIRLOCK_ASSIGN(
      gpus_,
      runner::PoolLeases::open(
          *pool_,
          {.quarantine = settings_.directory / "gpus",
           .has_device =
               [&backend](std::string_view name) { return backend.find_device(name) != nullptr; },
           .log =
               [&log](std::string_view event, std::string_view subject, std::string_view detail) {
                 log.info(event, {{"subject", subject}, {"detail", detail}});
               }}));
  return {};
}

void OpenJobs::read(telemetry::Readings& readings) {
  // An empty queue is 0 and not nothing: a sum over nothing has no answer.
  using enum model::JobState;
  const std::string least = model::WeightClass{}.to_string();
  readings.queue.push_back({.weight_class = least, .priority = 0, .jobs = 0});
  for (const model::JobState state : {kCloning, kBuilding, kPrep, kInference}) {
    readings.active.push_back(
        {.weight_class = least, .phase = std::string(model::job_state_name(state)), .jobs = 0});
  }
  for (const queue::Depth& depth : service_->queue_depths()) {
    const model::WeightClass weight_class{.gpus = depth.gpus, .gpu_type = depth.gpu_type};
    readings.queue.push_back(
        {.weight_class = weight_class.to_string(), .priority = depth.priority, .jobs = depth.jobs});
  }
  for (const gpu::GpuStatus& gpu : pool_->snapshot()) readings.gpus.push_back(reading_of(gpu));
}

base::Status OpenJobs::open(const ServeOptions& options, backend::Backend& backend,
                            egress::Gateway& gateway, const http::RunCatalog& catalog,
                            const base::Clock& clock, const telemetry::Log& log,
                            runner::JobObserver& observer) {
  const fs::path state = options.state_directory;
  settings_.directory = state / "service";
  if (settings_.file_roots.empty()) settings_.file_roots = {(state / "files").string()};
  storage_.file_roots = settings_.file_roots;
  AIRLOCK_ASSIGN(settings_.host, measure_host(settings_));
  // Nobody below us can have more of them than we.
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    settings_.limits.open_files =
        static_cast<std::uint32_t>(std::min<rlim_t>(settings_.limits.open_files, files.rlim_max));
  }
  if (!options.jobs_ca_file.empty()) {
    AIRLOCK_ASSIGN(const std::string more,
                   runner::read_whole(options.jobs_ca_file, kCertificatesMax));
    settings_.ca_certificates =
        runner::read_whole(kHostCertificates, kCertificatesMax).value_or("") + more;
  }
  // What a build could read of the host: which versions of which packages.
  for (const char* const list : {"/var/lib/dpkg/status", "/etc/os-release"}) {
    const auto text = runner::read_whole(list, kPackageListMax);
    settings_.toolchains.push_back(std::string(list) + ":" +
                                   receipt::sha256_hex(text.value_or("")));
  }
  AIRLOCK_ASSIGN(receipt::SigningKey key, receipt::SigningKey::open_or_make(
                                              (settings_.directory / "keys").string(), random_));
  key_ = std::make_unique<receipt::SigningKey>(std::move(key));
  const auto step = std::chrono::duration_cast<std::chrono::seconds>(settings_.queue.priority_step);
  AIRLOCK_ASSIGN(
      store_, store::sqlite::open_store(
                  {.folder = settings_.directory.string(), .priority_step = step}, clock, random_));
  AIRLOCK_TRY(open_gpus(options, backend, clock, log));
  files_ = std::make_unique<runner::JobFiles>(settings_.directory);
  service_ = std::make_unique<runner::JobService>(
      runner::JobParts{
          .store = *store_,
          .backend = backend,
          .gateway = gateway,
          .gpus = *gpus_,
          .key = *key_,
          .storage = storage_,
          .clock = clock,
          .random = random_,
          .files = *files_,
          .observer = observer,
          .host_checks = {
              .language = [&catalog](std::string_view name) { return catalog.check(name); },
              .image = [images = options.limits.images](
                           std::string_view name) { return images.find(name); }},
          .log =
              [&log](std::string_view event, std::string_view job, std::string_view detail) {
                log.info(event, {{"job_id", job}, {"detail", detail}});
              }},
      settings_);
  return service_->start();
}

}  // namespace

base::Result<std::unique_ptr<DaemonJobs>> DaemonJobs::open(
    const ServeOptions& options, backend::Backend& backend, egress::Gateway& gateway,
    const http::RunCatalog& catalog, const base::Clock& clock, const telemetry::Log& log,
    runner::JobObserver& observer) {
  auto jobs = std::make_unique<OpenJobs>(options);
  AIRLOCK_TRY(
      jobs->open(options, backend, gateway, catalog, clock, log, observer).with_context("jobs"));
  return jobs;
}

base::Status prepare_state(const ServeOptions& options, uid_t uid, gid_t gid) {
  const fs::path state = options.state_directory;
  std::error_code error;
  fs::create_directories(state, error);
  if (error) return base::fail(base::errno_error("make " + state.string(), error.value()));
  AIRLOCK_TRY(let_pass(state));
  AIRLOCK_TRY(make_owned(state / "service", 0700, uid, gid));
  return make_owned(state / "files", 0755, uid, gid);
}

}  // namespace airlock::apps
