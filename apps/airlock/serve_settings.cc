#include "apps/airlock/serve_settings.h"

#include <algorithm>
#include <vector>

#include "apps/airlock/setting_row.h"
#include "egress/address.h"
#include "egress/host_name.h"
#include "http/cors.h"
#include "jail/grants.h"
#include "language/nearest_name.h"
#include "model/isolation.h"
#include "model/limits.h"

namespace airlock::apps {
namespace {

using config::Places;
using config::Setting;
using config::Shape;
using config::Value;

constexpr std::string_view kWhere = "Where and for whom";
constexpr std::string_view kAtOnce = "How much at once";
constexpr std::string_view kMaxima = "The most that one run may ask for";
constexpr std::string_view kDefaults = "What a run has that asks for nothing";
constexpr std::string_view kNetwork = "What programs may reach";
constexpr std::string_view kConnections = "Connections";
constexpr std::string_view kMetrics = "Metrics";
constexpr std::string_view kAmon = "Runs of POST /run";

base::Status take_listen(const Value& value, ServeOptions& options) {
  for (const std::string& url : value.texts) {
    AIRLOCK_ASSIGN(ListenAddress address, parse_listen_address(url));
    options.listen.push_back(std::move(address));
  }
  return {};
}

base::Status take_origins(const Value& value, ServeOptions& options) {
  for (const std::string& text : value.texts) {
    AIRLOCK_ASSIGN(std::string origin, http::parse_origin(text));
    options.origins.push_back(std::move(origin));
  }
  return {};
}

base::Status take_folders(const Value& value, ServeOptions& options) {
  for (const std::string& text : value.texts) {
    AIRLOCK_ASSIGN(const jail::FolderGrant folder, jail::parse_folder_grant(text));
    const auto begins_so = [&](const std::string& other) {
      return other.starts_with(folder.name + "=");
    };
    if (std::ranges::any_of(options.folders, begins_so)) {
      return refuse_value("two folders are called \"" + folder.name + "\"");
    }
    if (options.folders.size() == jail::kFoldersMax) {
      return refuse_value("more than " + std::to_string(jail::kFoldersMax) + " folders");
    }
    options.folders.push_back(text);
  }
  return {};
}

base::Status take_cdi_directories(const Value& value, ServeOptions& options) {
  options.cdi_directories.clear();
  for (const std::string& text : value.texts) {
    if (!text.starts_with('/')) return refuse_value("\"" + text + "\" is no absolute path");
    options.cdi_directories.push_back(text);
  }
  return {};
}

base::Status take_log_level(const Value& value, ServeOptions& options) {
  static const std::vector<std::string> kNames = {"debug", "info", "warning", "error"};
  const std::string& name = value.texts.front();
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) {
    return refuse_value("\"" + name + "\" is no level; it is debug, info, warning or error" +
                        language::did_you_mean(name, kNames));
  }
  options.log_level = static_cast<telemetry::Level>(found - kNames.begin());
  return {};
}

base::Status take_allowed_tier(const Value& value, ServeOptions& options) {
  if (value.texts.front() != model::kTierProcess) {
    return refuse_value("\"" + value.texts.front() + "\" is no tier that has to be allowed",
                        "the one that has is \"process\"");
  }
  options.allow_tier = value.texts.front();
  return {};
}

base::Status take_compat(const Value& value, ServeOptions&) {
  if (value.texts.front() == kSwissbrainCompat) return {};
  return refuse_value("\"" + value.texts.front() + "\" is no system whose variables are known",
                      "swissbrain is; those of Amon's runner are understood without this");
}

base::Status take_memory_budget(const Value& value, ServeOptions& options) {
  constexpr auto kPlace = [](ServeOptions& all) -> auto& { return all.server.request_bytes_max; };
  AIRLOCK_TRY((take_bytes<kPlace, base::mebibytes(2).count(), base::gibibytes(1024).count()>(
      value, options)));
  options.server.request_bytes_max /= 2;
  options.server.answer_bytes_max = options.server.request_bytes_max;
  return {};
}

base::Status take_max_body(const Value& value, ServeOptions& options) {
  constexpr auto kPlace = [](ServeOptions& all) -> auto& { return all.limits.body_bytes_max; };
  AIRLOCK_TRY(
      (take_bytes<kPlace, base::kibibytes(1).count(), base::gibibytes(1).count()>(value, options)));
  options.server.session.parser.body_bytes_max = options.limits.body_bytes_max.count();
  return {};
}

base::Status take_max_file_bytes(const Value& value, ServeOptions& options) {
  constexpr auto kPlace = [](ServeOptions& all) -> auto& { return all.limits.files_bytes_max; };
  AIRLOCK_TRY((take_bytes<kPlace, 0, base::gibibytes(1).count()>(value, options)));
  options.limits.file_bytes_max = options.limits.files_bytes_max;
  return {};
}

base::Status take_dns_servers(const Value& value, ServeOptions& options) {
  for (const std::string& text : value.texts) {
    const auto server = egress::parse_destination(text, 53);
    if (!egress::parse_address(text) && (!server || !server->is_address)) {
      return refuse_value("\"" + text + "\" is no address of a name server",
                          "such as 9.9.9.9 or 10.0.0.1:5353");
    }
  }
  options.dns_servers = value.texts;
  return {};
}

base::Status take_metrics_host(const Value& value, ServeOptions& options) {
  options.metrics.host = value.texts.front();
  if (parse_listen_address(options.metrics.url())) return {};
  return refuse_value("\"" + options.metrics.host + "\" is no address to listen on",
                      "such as 127.0.0.1, 0.0.0.0 or ::1");
}

// As a request has it.
base::Status take_metrics_path(const Value& value, ServeOptions& options) {
  constexpr std::size_t kPathMax = 256;
  const std::string& path = value.texts.front();
  const auto fits = [](char c) { return c > ' ' && c < 127 && c != '?' && c != '#' && c != '%'; };
  if (!path.starts_with('/') || path.size() > kPathMax || !std::ranges::all_of(path, fits)) {
    return refuse_value("\"" + path + "\" is no path of a URL", "such as /metrics");
  }
  options.metrics.path = path;
  return {};
}

#define AIRLOCK_AT(member) [](ServeOptions& all) -> auto& { return all.member; }

using model::kInodesMax;
using model::kInodesMin;
using model::kOpenFilesMax;
using model::kOpenFilesMin;
using model::kPidsMax;

// Numbers, because a parameter of a template cannot be a ByteCount.
constexpr std::uint64_t kMemoryMin = model::kMemoryMin.count();
constexpr std::uint64_t kMemoryMax = model::kMemoryMax.count();
constexpr std::uint64_t kDiskMin = model::kDiskMin.count();
constexpr std::uint64_t kDiskMax = model::kDiskMax.count();
constexpr std::uint64_t kOutputMax = model::kOutputMax.count();
constexpr std::uint64_t kTextMax = base::gibibytes(1).count();
// What Amon's runner gives back is held in memory: the runner's own bound for that.
constexpr std::uint64_t kAmonFilesMax = runner::kCapturedFilesMax.count();
constexpr std::int64_t kTimeMin = model::kTimeMin.count();
constexpr std::int64_t kWallTimeMax = model::kWallTimeMax.count();
constexpr std::int64_t kTimeoutMin = 100;
constexpr std::int64_t kTimeoutMax = 3'600'000;

// clang-format off
constexpr SettingRow kRows[] = {
    {{.name = "listen", .value = "URL", .group = kWhere, .help = "Where to listen; repeatable",
      .fallback = "http://127.0.0.1:8088", .shape = Shape::kList}, take_listen},
    {{.name = "config", .value = "FILE", .group = kWhere,
      .help = "A file with these settings, in YAML", .fallback = "", .unset = "none",
      .places = Places::kNotInFile}, nullptr},
    {{.name = "api_key", .value = "KEY", .group = kWhere,
      .help = "The key that clients have to send", .fallback = "", .unset = "none",
      .places = Places::kSecret}, nullptr},
    {{.name = "api_key_file", .value = "FILE", .group = kWhere,
      .help = "A file with the key that clients have to send", .fallback = "", .unset = "none"},
     nullptr},
    {{.name = "cors_origin", .value = "URL", .group = kWhere,
      .help = "A web page's origin that may use the service; repeatable", .fallback = "",
      .unset = "none", .shape = Shape::kList}, take_origins},
    {{.name = "state_dir", .value = "DIR", .group = kWhere,
      .help = "Where large workspaces are kept", .fallback = "",
      .unset = "/var/lib/airlock, or in the home directory"},
     take_text<AIRLOCK_AT(state_directory)>},
    {{.name = "user", .value = "NAME", .group = kWhere,
      .help = "As root: the user that the service runs as", .fallback = "",
      .unset = "one of its own"}, take_text<AIRLOCK_AT(user)>},
    {{.name = "allow_tier", .value = "TIER", .group = kWhere,
      .help = "Serve even where no namespaces can be had: process", .fallback = "",
      .unset = "none"}, take_allowed_tier},
    {{.name = "folder", .value = "NAME=DIR", .group = kWhere,
      .help = "A folder of the host that sandboxes may be given, read-only at /NAME; repeatable",
      .fallback = "", .unset = "none", .shape = Shape::kList}, take_folders},
    {{.name = "cdi_dir", .value = "DIR", .group = kWhere,
      .help = "Where CDI specs of the host's devices are; repeatable, later ones win",
      .fallback = "", .unset = "/etc/cdi and /var/run/cdi", .shape = Shape::kList},
     take_cdi_directories},
    {{.name = "log_level", .value = "LEVEL", .group = kWhere,
      .help = "The least that is logged: debug, info, warning, error", .fallback = "info"},
     take_log_level},
    {{.name = "compat", .value = "NAME", .group = kWhere,
      .help = "Understand the variables of: swissbrain", .fallback = "", .unset = "none"},
     take_compat},

    {{.name = "slots", .value = "N", .group = kAtOnce, .help = "Runs at once", .fallback = "",
      .unset = "twice the processors, at least 4"}, take_count<AIRLOCK_AT(slots), 1, kSlotsMax>},
    {{.name = "waiting", .value = "N", .group = kAtOnce,
      .help = "Requests that may wait for a slot", .fallback = "256"},
     take_count<AIRLOCK_AT(waiting_max), 0, kWaitingMax>},
    {{.name = "wait", .value = "TIME", .group = kAtOnce, .help = "How long one may wait",
      .fallback = "10s"}, take_time<AIRLOCK_AT(wait_max), 0, kTimeoutMax>},
    {{.name = "parked", .value = "N", .group = kAtOnce, .help = "Sandboxes kept ready at most",
      .fallback = "", .unset = "as many as slots"},
     take_count<AIRLOCK_AT(parked_max), 0, kSlotsMax>},

    {{.name = "max_wall", .value = "TIME", .group = kMaxima, .help = "Wall time",
      .fallback = "10m"},
     take_time<AIRLOCK_AT(limits.limits_max.wall_time), kTimeMin, kWallTimeMax>},
    {{.name = "max_cpu_time", .value = "TIME", .group = kMaxima,
      .help = "User and system time of all processes together", .fallback = "10m"},
     take_time<AIRLOCK_AT(limits.limits_max.cpu_time), kTimeMin, kWallTimeMax>},
    {{.name = "max_cpus", .value = "N", .group = kMaxima,
      .help = "Cores' worth of CPU time per second", .fallback = "none"},
     take_cores<AIRLOCK_AT(limits.limits_max.cpu_rate_percent)>},
    {{.name = "max_memory", .value = "SIZE", .group = kMaxima, .help = "Memory",
      .fallback = "4g"}, take_bytes<AIRLOCK_AT(limits.limits_max.memory), kMemoryMin, kMemoryMax>},
    {{.name = "max_pids", .value = "N", .group = kMaxima, .help = "Processes and threads at once",
      .fallback = "1024"}, take_count<AIRLOCK_AT(limits.limits_max.pids), 1, kPidsMax>},
    {{.name = "max_disk", .value = "SIZE", .group = kMaxima,
      .help = "Bytes of everything it can write to", .fallback = "1g"},
     take_bytes<AIRLOCK_AT(limits.limits_max.disk), kDiskMin, kDiskMax>},
    {{.name = "max_inodes", .value = "N", .group = kMaxima, .help = "Files and folders in it",
      .fallback = "1048576"},
     take_count<AIRLOCK_AT(limits.limits_max.inodes), kInodesMin, kInodesMax>},
    {{.name = "max_open_files", .value = "N", .group = kMaxima,
      .help = "Open files of one process", .fallback = "65536"},
     take_count<AIRLOCK_AT(limits.limits_max.open_files), kOpenFilesMin, kOpenFilesMax>},
    {{.name = "max_output", .value = "SIZE", .group = kMaxima,
      .help = "Bytes of stdout and of stderr, each", .fallback = "8m"},
     take_bytes<AIRLOCK_AT(limits.limits_max.output), 0, kOutputMax>},
    {{.name = "max_code", .value = "SIZE", .group = kMaxima, .help = "Source text",
      .fallback = "1m"}, take_bytes<AIRLOCK_AT(limits.code_bytes_max), 0, kTextMax>},
    {{.name = "max_stdin", .value = "SIZE", .group = kMaxima, .help = "Standard input",
      .fallback = "16m"}, take_bytes<AIRLOCK_AT(limits.stdin_bytes_max), 0, kTextMax>},
    {{.name = "max_files", .value = "N", .group = kMaxima, .help = "Files that come with it",
      .fallback = "256"}, take_count<AIRLOCK_AT(limits.files_max), 0, model::kInputFilesMax>},
    {{.name = "max_file_bytes", .value = "SIZE", .group = kMaxima,
      .help = "Bytes of those files, together", .fallback = "16m"}, take_max_file_bytes},

    {{.name = "default_wall", .value = "TIME", .group = kDefaults, .help = "Wall time",
      .fallback = "10s"}, take_time<AIRLOCK_AT(limits.defaults.wall_time), kTimeMin, kWallTimeMax>},
    {{.name = "default_cpu_time", .value = "TIME", .group = kDefaults,
      .help = "User and system time of all processes together", .fallback = "10s"},
     take_time<AIRLOCK_AT(limits.defaults.cpu_time), kTimeMin, kWallTimeMax>},
    {{.name = "default_cpus", .value = "N", .group = kDefaults,
      .help = "Cores' worth of CPU time per second", .fallback = "none"},
     take_cores<AIRLOCK_AT(limits.defaults.cpu_rate_percent)>},
    {{.name = "default_memory", .value = "SIZE", .group = kDefaults, .help = "Memory",
      .fallback = "512m"}, take_bytes<AIRLOCK_AT(limits.defaults.memory), kMemoryMin, kMemoryMax>},
    {{.name = "default_pids", .value = "N", .group = kDefaults,
      .help = "Processes and threads at once", .fallback = "128"},
     take_count<AIRLOCK_AT(limits.defaults.pids), 1, kPidsMax>},
    {{.name = "default_disk", .value = "SIZE", .group = kDefaults,
      .help = "Bytes of everything it can write to", .fallback = "64m"},
     take_bytes<AIRLOCK_AT(limits.defaults.disk), kDiskMin, kDiskMax>},
    {{.name = "default_output", .value = "SIZE", .group = kDefaults,
      .help = "Bytes of stdout and of stderr, each", .fallback = "8m"},
     take_bytes<AIRLOCK_AT(limits.defaults.output), 0, kOutputMax>},

    {{.name = "egress_allow", .value = "HOST", .group = kNetwork,
      .help = "A host, .suffix, host:port or preset; repeatable", .fallback = "",
      .unset = "none", .shape = Shape::kList},
     take_egress_list<&egress::PolicySpec::allow, AIRLOCK_AT(egress.allow)>},
    {{.name = "egress_block", .value = "HOST", .group = kNetwork,
      .help = "A host or .suffix that is never allowed; repeatable", .fallback = "",
      .unset = "none", .shape = Shape::kList},
     take_egress_list<&egress::PolicySpec::blocked, AIRLOCK_AT(egress.blocked)>},
    {{.name = "allowed_private_destinations", .value = "IP:PORT", .group = kNetwork,
      .help = "An address that is allowed though it is no public one; repeatable",
      .fallback = "", .unset = "none", .shape = Shape::kList},
     take_egress_list<&egress::PolicySpec::private_destinations,
                      AIRLOCK_AT(egress.private_destinations)>},
    {{.name = "dns_servers", .value = "IP", .group = kNetwork,
      .help = "Whom to ask for addresses; repeatable", .fallback = "",
      .unset = "those of /etc/resolv.conf", .shape = Shape::kList}, take_dns_servers},
    {{.name = "egress_bytes", .value = "SIZE", .group = kNetwork,
      .help = "Bytes of one run, both directions together", .fallback = "1g"},
     take_bytes<AIRLOCK_AT(limits.egress_budget.bytes_max), 0, kDiskMax>},
    {{.name = "egress_connections", .value = "N", .group = kNetwork,
      .help = "Connections of one run at once", .fallback = "256"},
     take_count<AIRLOCK_AT(limits.egress_budget.connections_max), 1, 65'536>},
    {{.name = "swissbrain_network", .value = "SWITCH", .group = kNetwork, .help = "",
      .fallback = "off", .places = Places::kNotInFlags},
     take_switch<AIRLOCK_AT(swissbrain.network)>},

    {{.name = "max_body", .value = "SIZE", .group = kConnections,
      .help = "Bytes of a request's body", .fallback = "32m"}, take_max_body},
    {{.name = "max_connections", .value = "N", .group = kConnections,
      .help = "Connections; more wait to be accepted", .fallback = "16384"},
     take_count<AIRLOCK_AT(server.connections_max), 1, 1'000'000>},
    {{.name = "memory_budget", .value = "SIZE", .group = kConnections,
      .help = "Bodies and unread answers of all, half for each", .fallback = "256m"},
     take_memory_budget},
    {{.name = "head_timeout", .value = "TIME", .group = kConnections,
      .help = "For a request's line and headers to arrive", .fallback = "10s"},
     take_time<AIRLOCK_AT(server.session.head_max), kTimeoutMin, kTimeoutMax>},
    {{.name = "body_timeout", .value = "TIME", .group = kConnections,
      .help = "For its body to arrive", .fallback = "60s"},
     take_time<AIRLOCK_AT(server.session.body_max), kTimeoutMin, kTimeoutMax>},
    {{.name = "idle_timeout", .value = "TIME", .group = kConnections,
      .help = "Between two requests", .fallback = "75s"},
     take_time<AIRLOCK_AT(server.session.idle_max), kTimeoutMin, kTimeoutMax>},
    {{.name = "write_timeout", .value = "TIME", .group = kConnections,
      .help = "For an answer to be read", .fallback = "30s"},
     take_time<AIRLOCK_AT(server.session.write_max), kTimeoutMin, kTimeoutMax>},

    {{.name = "monitoring.prometheus_port", .value = "N", .group = kMetrics, .help = "",
      .fallback = "", .unset = "none", .places = Places::kNotInFlags},
     take_count<AIRLOCK_AT(metrics.port), 0, 65'535>},
    {{.name = "monitoring.prometheus_host", .value = "IP", .group = kMetrics, .help = "",
      .fallback = "127.0.0.1", .places = Places::kNotInFlags}, take_metrics_host},
    {{.name = "monitoring.prometheus_path", .value = "PATH", .group = kMetrics, .help = "",
      .fallback = "/metrics", .places = Places::kNotInFlags}, take_metrics_path},
    {{.name = "monitoring.metrics_need_key", .value = "SWITCH", .group = kMetrics, .help = "",
      .fallback = "on", .places = Places::kNotInFlags}, take_switch<AIRLOCK_AT(metrics.need_key)>},

    {{.name = "amon_cpus", .value = "N", .group = kAmon, .help = "", .fallback = "1.0",
      .places = Places::kNotInFlags}, take_cores<AIRLOCK_AT(amon.cpu_rate_percent)>},
    {{.name = "amon_memory", .value = "SIZE", .group = kAmon, .help = "", .fallback = "512m",
      .places = Places::kNotInFlags}, take_bytes<AIRLOCK_AT(amon.memory), kMemoryMin, kMemoryMax>},
    {{.name = "amon_pids", .value = "N", .group = kAmon, .help = "", .fallback = "128",
      .places = Places::kNotInFlags}, take_count<AIRLOCK_AT(amon.pids), 1, kPidsMax>},
    {{.name = "amon_disk", .value = "SIZE", .group = kAmon, .help = "", .fallback = "64m",
      .places = Places::kNotInFlags}, take_bytes<AIRLOCK_AT(amon.disk), kDiskMin, kDiskMax>},
    {{.name = "amon_code_bytes", .value = "SIZE", .group = kAmon, .help = "",
      .fallback = "131072", .places = Places::kNotInFlags},
     take_bytes<AIRLOCK_AT(amon.code_bytes_max), 0, kTextMax>},
    {{.name = "amon_files", .value = "N", .group = kAmon, .help = "", .fallback = "32",
      .places = Places::kNotInFlags},
     take_count<AIRLOCK_AT(amon.files_max), 0, model::kInputFilesMax>},
    {{.name = "amon_file_bytes", .value = "SIZE", .group = kAmon, .help = "",
      .fallback = "2097152", .places = Places::kNotInFlags},
     take_bytes<AIRLOCK_AT(amon.file_bytes_max), 0, kTextMax>},
    {{.name = "amon_input_bytes", .value = "SIZE", .group = kAmon, .help = "",
      .fallback = "8388608", .places = Places::kNotInFlags},
     take_bytes<AIRLOCK_AT(amon.input_bytes_max), 0, kTextMax>},
    {{.name = "amon_output_bytes", .value = "SIZE", .group = kAmon, .help = "",
      .fallback = "8388608", .places = Places::kNotInFlags},
     take_bytes<AIRLOCK_AT(amon.output_bytes_max), 0, kAmonFilesMax>},
};
// clang-format on

#undef AIRLOCK_AT

}  // namespace

std::span<const SettingRow> run_rows() { return kRows; }

std::span<const Setting> serve_settings() {
  static const std::vector<Setting> settings = [] {
    std::vector<Setting> all;
    for (const SettingRow& row : run_rows()) all.push_back(row.setting);
    for (const SettingRow& row : execution_rows()) all.push_back(row.setting);
    for (const SettingRow& row : job_rows()) all.push_back(row.setting);
    return all;
  }();
  return settings;
}

base::Status take_serve_values(const config::Values& values, ServeOptions& options) {
  for (const std::span<const SettingRow> rows : {run_rows(), execution_rows(), job_rows()}) {
    for (const SettingRow& row : rows) {
      const Value& value = values.of(row.setting.name);
      if (row.take == nullptr || value.texts.empty()) continue;
      if (const auto taken = row.take(value, options); !taken) {
        return base::fail(values.refuse(row.setting.name, taken.error()));
      }
    }
  }
  return {};
}

}  // namespace airlock::apps
