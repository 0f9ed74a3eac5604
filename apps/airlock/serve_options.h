// ServeOptions: what `airlock serve` was asked for, by flags, environment, file and defaults.
//
// serve_settings.h is the table of everything that can be said, serve_aliases.h has the variables
// of other systems. Flag over environment over file over default. What cannot be obeyed is refused
// with its place. Reads no file but the configuration and those that hold keys.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "apps/airlock/listen_address.h"
#include "apps/airlock/serve_aliases.h"
#include "artifact/s3_config.h"
#include "base/result.h"
#include "config/values.h"
#include "egress/policy.h"
#include "http/server/server.h"
#include "http/service.h"
#include "model/isolation.h"
#include "runner/jobs/job_settings.h"
#include "telemetry/log.h"

namespace airlock::apps {

// Who collects metrics, and where.
struct MetricsOptions {
  std::optional<std::uint32_t> port;  // of their own; absent: only beside the other routes
  std::string host = "127.0.0.1";
  std::string path = "/metrics";  // on that port
  bool need_key = true;           // beside the other routes, if there is a key

  std::string url() const;  // of the port
};

// What makes the sandboxes of runs and jobs.
struct ExecutionOptions {
  std::string mode = "auto";  // one of backend::mode_names()
  bool fallback_on_error = true;
  model::IsolationLevel min_isolation = model::IsolationLevel::kProcess;
  std::string docker_socket = "unix:///var/run/docker.sock";
  std::string docker_image = "airlock-base";
  std::vector<std::string> images;                  // others of Docker's that a request may name
  std::string image_pull = "missing";               // "never", "missing" or "always"
  std::chrono::milliseconds start_timeout{20'000};  // of a container
  bool gvisor_enabled = true;
  std::string gvisor_program = "runsc";
  std::string gvisor_platform = "ptrace";
  std::string gvisor_file_access = "exclusive";

  // The backends to be tried, in order; at least one.
  std::vector<std::string> chain() const;
};

struct ServeOptions {
  std::vector<ListenAddress> listen;
  std::vector<std::string> origins;  // of web pages that may use the service
  std::string state_directory;       // empty: the default, until prepare() has found it
  std::string api_key;               // empty: none
  std::string user;                  // whom the daemon becomes; empty: an id of its own
  std::string allow_tier;            // "process", or empty
  ExecutionOptions execution;
  std::vector<std::string> folders;  // NAME=/PATH, that sandboxes may be given
  std::vector<std::string> cdi_directories = {"/etc/cdi", "/var/run/cdi"};
  telemetry::Level log_level = telemetry::Level::kInfo;
  std::uint32_t slots = 0;  // runs at once; 0: by the number of processors
  std::uint32_t waiting_max = 256;
  std::chrono::milliseconds wait_max{10'000};
  std::optional<std::uint32_t> parked_max;  // sandboxes ready; as many as slots if not said
  egress::PolicySpec egress;                // what programs may reach; made part of `limits`
  std::vector<std::string> dns_servers;     // empty: those of the host
  http::RunLimitsPolicy limits;
  http::AmonLimits amon;
  http::SwissbrainLimits swissbrain;
  http::ServerLimits server;
  bool takes_jobs = true;
  bool jobs_wanted =
      false;  // said, and not only the default: then it is an error if there are none
  runner::JobSettings jobs;
  std::string jobs_ca_file;  // PEM, beside the host's own certificates
  artifact::S3Settings s3;
  artifact::RetryPolicy s3_retry;
  MetricsOptions metrics;
  std::string nvml_path;  // empty: where the loader finds it
};

// What runs, what is parked and what is ending share the 1,024 slots of jail::kSlotsMax.
inline constexpr std::uint32_t kSlotsMax = 256;
inline constexpr std::uint32_t kWaitingMax = 1'000'000;
inline constexpr std::size_t kApiKeyBytesMin = 16;
inline constexpr std::size_t kApiKeyBytesMax = 512;

// What was said, before anybody looked at what it means.
struct ServeConfig {
  config::Values values;
  std::vector<Notice> notices;  // variables that are there and change nothing
  bool print_only = false;      // --print-config
};
struct ServeHelp {
  std::string text;
};

base::Result<std::variant<ServeConfig, ServeHelp>> read_serve_config(
    std::vector<std::string> words, const config::Environment& environment);

// The other way for the daemon: what its supervisor has read.
base::Result<ServeConfig> decode_serve_config(std::string_view records);

base::Result<ServeOptions> make_serve_options(const config::Values& values);

// Where a service listens whose flags say nothing: by the variables, or the default.
base::Result<ListenAddress> default_listen_address(const config::Environment& environment);

// A key that a client could send, without the newline at its end. `where` is for errors.
base::Result<std::string> read_key_from(int fd, const std::string& where);

}  // namespace airlock::apps
