// What can be said about jobs. Names, units and defaults of the sections hardware, execution,
// security and storage are those of the evaluation host that this replaces.
#include <algorithm>
#include <chrono>
#include <iterator>

#include "apps/airlock/setting_row.h"
#include "jail/durable_keepers.h"

namespace airlock::apps {
// A name of its own: the lambdas below are arguments of templates, and those of another file's
// unnamed namespace have the same names to the linker.
namespace job_table {
namespace {

using config::Places;
using config::Shape;
using config::Value;

constexpr std::string_view kJobs = "Jobs";
constexpr std::string_view kHardware = "What there is for jobs";
constexpr std::string_view kExecution = "What one job gets at most";
constexpr std::string_view kSource = "Where repositories come from";
constexpr std::string_view kNetwork = "What the prep phase may reach";
constexpr std::string_view kStorage = "Inputs, outputs and history of jobs";
constexpr std::string_view kScheduler = "Which job is next";

constexpr std::uint32_t kSecondsMax = 30u * 24 * 3'600;
constexpr std::uint32_t kGibibytesMax = 1u << 20;
constexpr std::uint32_t kCoresMax = 4'096;
constexpr std::uint32_t kPhaseSecondsMin = 1;

base::Result<std::uint32_t> read_number(const Value& value, std::uint32_t lowest,
                                        std::uint32_t highest) {
  const std::string& text = value.texts.front();
  AIRLOCK_ASSIGN(const std::uint32_t number,
                 config::parse_count(text).with_context("\"" + text + "\""));
  if (number < lowest || number > highest) {
    return base::fail(out_of_range(value, std::to_string(lowest), std::to_string(highest)).error());
  }
  return number;
}

template <auto place>
base::Status take_seconds(const Value& value, ServeOptions& options) {
  AIRLOCK_ASSIGN(const std::uint32_t seconds, read_number(value, kPhaseSecondsMin, kSecondsMax));
  place(options) = std::chrono::seconds(seconds);
  return {};
}

template <auto place>
base::Status take_gibibytes(const Value& value, ServeOptions& options) {
  AIRLOCK_ASSIGN(const std::uint32_t number, read_number(value, 1, kGibibytesMax));
  place(options) = base::gibibytes(number);
  return {};
}

// Whole cores.
template <auto place>
base::Status take_whole_cores(const Value& value, ServeOptions& options) {
  AIRLOCK_ASSIGN(const std::uint32_t cores, read_number(value, 1, kCoresMax));
  place(options) = cores * 1'000;
  return {};
}

template <auto place>
base::Status take_list(const Value& value, ServeOptions& options) {
  place(options) = value.texts;
  return {};
}

// Hosts and presets, and what is allowed by being opened as an address.
template <auto place>
base::Status take_domains(const Value& value, ServeOptions& options) {
  const std::vector<std::string>& opened = options.jobs.network.allowed_private_destinations;
  egress::PolicySpec names;
  std::ranges::copy_if(value.texts, std::back_inserter(names.allow), [&](const std::string& text) {
    return std::ranges::find(opened, text) == opened.end();
  });
  AIRLOCK_TRY(egress::Policy::make(names));
  place(options) = value.texts;
  return {};
}

template <auto place>
base::Status take_days(const Value& value, ServeOptions& options) {
  AIRLOCK_ASSIGN(const std::uint32_t days, read_number(value, 1, 36'500));
  place(options) = std::chrono::hours(24) * days;
  return {};
}

base::Status take_roots(const Value& value, ServeOptions& options) {
  for (const std::string& root : value.texts) {
    if (!root.starts_with('/')) return refuse_value("\"" + root + "\" is no absolute path");
  }
  options.jobs.file_roots = value.texts;
  return {};
}

base::Status take_gpu_type(const Value& value, ServeOptions& options) {
  const auto parsed = model::parse_weight_class("1x" + value.texts.front());
  if (!parsed) return refuse_value("\"" + value.texts.front() + "\" is no type of a GPU");
  options.jobs.gpu_type = value.texts.front();
  options.jobs.gpu_type_is_wanted = value.layer != config::Layer::kDefault;
  return {};
}

base::Status take_jobs(const Value& value, ServeOptions& options) {
  constexpr auto kPlace = [](ServeOptions& all) -> auto& { return all.takes_jobs; };
  AIRLOCK_TRY(take_switch<kPlace>(value, options));
  options.jobs_wanted = options.takes_jobs && value.layer != config::Layer::kDefault;
  return {};
}

#define AIRLOCK_AT(member) [](ServeOptions& all) -> auto& { return all.member; }

// clang-format off
constexpr SettingRow kRows[] = {
    {{.name = "jobs", .value = "true|false", .group = kJobs,
      .help = "Take jobs, beside running programs", .fallback = "true"},
     take_jobs},

    {{.name = "hardware.gpu_type", .value = "TYPE", .group = kHardware, .help = "",
      .fallback = "H200", .places = Places::kNotInFlags}, take_gpu_type},
    {{.name = "hardware.nvml_path", .value = "FILE", .group = kHardware, .help = "",
      .fallback = "", .unset = "libnvidia-ml.so.1", .places = Places::kNotInFlags},
     take_text<AIRLOCK_AT(nvml_path)>},
    {{.name = "hardware.cpu_cores", .value = "N", .group = kHardware, .help = "", .fallback = "",
      .unset = "all of the host", .places = Places::kNotInFlags},
     take_whole_cores<AIRLOCK_AT(jobs.host.cpu_millis)>},
    {{.name = "hardware.memory_gb", .value = "N", .group = kHardware, .help = "", .fallback = "",
      .unset = "nine tenths of the host's", .places = Places::kNotInFlags},
     take_gibibytes<AIRLOCK_AT(jobs.host.memory)>},
    {{.name = "hardware.disk_gb", .value = "N", .group = kHardware, .help = "", .fallback = "",
      .unset = "what is free at the start below the state directory, less a tenth",
      .places = Places::kNotInFlags}, take_gibibytes<AIRLOCK_AT(jobs.host.disk)>},

    {{.name = "execution.cpu_limit", .value = "N", .group = kExecution, .help = "",
      .fallback = "32", .places = Places::kNotInFlags},
     take_whole_cores<AIRLOCK_AT(jobs.limits.cpu_millis)>},
    {{.name = "execution.memory_limit_gb", .value = "N", .group = kExecution, .help = "",
      .fallback = "256", .places = Places::kNotInFlags},
     take_gibibytes<AIRLOCK_AT(jobs.limits.memory)>},
    {{.name = "execution.disk_quota_gb", .value = "N", .group = kExecution, .help = "",
      .fallback = "100", .places = Places::kNotInFlags},
     take_gibibytes<AIRLOCK_AT(jobs.limits.disk)>},
    {{.name = "execution.max_processes", .value = "N", .group = kExecution, .help = "",
      .fallback = "128", .places = Places::kNotInFlags},
     take_count<AIRLOCK_AT(jobs.limits.pids), 1, model::kPidsMax>},
    {{.name = "execution.log_bytes", .value = "SIZE", .group = kExecution, .help = "",
      .fallback = "64m", .places = Places::kNotInFlags},
     take_bytes<AIRLOCK_AT(jobs.limits.log), 1'024, base::gibibytes(64).count()>},
    {{.name = "execution.prep_timeout_seconds", .value = "N", .group = kExecution, .help = "",
      .fallback = "7200", .places = Places::kNotInFlags},
     take_seconds<AIRLOCK_AT(jobs.timeouts.prep)>},
    {{.name = "execution.inference_timeout_seconds", .value = "N", .group = kExecution,
      .help = "", .fallback = "3600", .places = Places::kNotInFlags},
     take_seconds<AIRLOCK_AT(jobs.timeouts.inference)>},
    {{.name = "execution.repo_clone_timeout_seconds", .value = "N", .group = kExecution,
      .help = "", .fallback = "600", .places = Places::kNotInFlags},
     take_seconds<AIRLOCK_AT(jobs.timeouts.clone)>},
    {{.name = "execution.repo_build_timeout_seconds", .value = "N", .group = kExecution,
      .help = "", .fallback = "3600", .places = Places::kNotInFlags},
     take_seconds<AIRLOCK_AT(jobs.timeouts.build)>},
    {{.name = "execution.allowed_repo_hosts", .value = "HOST", .group = kExecution,
      .help = "A host that repositories may come from; repeatable",
      .fallback = "github.com,gitlab.com", .shape = Shape::kList},
     take_list<AIRLOCK_AT(jobs.allowed_repo_hosts)>},
    {{.name = "execution.ca_file", .value = "FILE", .group = kExecution, .help = "",
      .fallback = "", .unset = "the host's certificates", .places = Places::kNotInFlags},
     take_text<AIRLOCK_AT(jobs_ca_file)>},
    {{.name = "execution.build_env", .value = "NAME=VALUE", .group = kExecution, .help = "",
      .fallback = "", .unset = "none", .shape = Shape::kList, .places = Places::kNotInFlags},
     take_list<AIRLOCK_AT(jobs.build_env)>},
    {{.name = "execution.prep_sees_input", .value = "true|false", .group = kExecution,
      .help = "", .fallback = "false", .places = Places::kNotInFlags},
     take_switch<AIRLOCK_AT(jobs.prep_sees_input)>},
    {{.name = "execution.max_attempts", .value = "N", .group = kExecution, .help = "",
      .fallback = "2", .places = Places::kNotInFlags},
     take_count<AIRLOCK_AT(jobs.attempts_max), 1, 100>},
    {{.name = "execution.max_active_jobs", .value = "N", .group = kExecution, .help = "",
      .fallback = "64", .places = Places::kNotInFlags},
     take_count<AIRLOCK_AT(jobs.active_max), 1, jail::kDurableMax>},

    {{.name = "source.ssh_known_hosts_file", .value = "FILE", .group = kSource, .help = "",
      .fallback = "", .unset = "none: no repositories over ssh", .places = Places::kNotInFlags},
     nullptr},
    {{.name = "source.ssh_key_file", .value = "FILE", .group = kSource, .help = "",
      .fallback = "", .unset = "none", .places = Places::kNotInFlags}, nullptr},
    {{.name = "source.ssh_key", .value = "KEY", .group = kSource, .help = "", .fallback = "",
      .unset = "none", .places = Places::kSecret}, nullptr},
    {{.name = "source.submodules", .value = "true|false", .group = kSource, .help = "",
      .fallback = "false", .places = Places::kNotInFlags},
     take_switch<AIRLOCK_AT(jobs.clone_submodules)>},
    {{.name = "source.depth", .value = "N", .group = kSource, .help = "", .fallback = "1",
      .places = Places::kNotInFlags}, take_count<AIRLOCK_AT(jobs.clone_depth), 0, 1'000'000>},
    {{.name = "source.max_size", .value = "SIZE", .group = kSource, .help = "", .fallback = "4g",
      .places = Places::kNotInFlags},
     take_bytes<AIRLOCK_AT(jobs.limits.repository), 1'024, base::gibibytes(1'024).count()>},

    {{.name = "security.network_policy.prep_allow_internet", .value = "true|false",
      .group = kNetwork, .help = "", .fallback = "true", .places = Places::kNotInFlags},
     take_switch<AIRLOCK_AT(jobs.network.prep_allow_internet)>},
    {{.name = "security.network_policy.inference_block_internet", .value = "true|false",
      .group = kNetwork, .help = "", .fallback = "true", .places = Places::kNotInFlags},
     take_switch<AIRLOCK_AT(jobs.network.inference_block_internet)>},
    // Before the lists that may name one of them.
    {{.name = "security.network_policy.allowed_private_destinations", .value = "IP:PORT",
      .group = kNetwork, .help = "", .fallback = "", .unset = "none", .shape = Shape::kList,
      .places = Places::kNotInFlags},
     take_egress_list<&egress::PolicySpec::private_destinations,
                      AIRLOCK_AT(jobs.network.allowed_private_destinations)>},
    {{.name = "security.network_policy.allowed_prep_domains", .value = "HOST", .group = kNetwork,
      .help = "", .fallback = "huggingface,github,gitlab,raw.githubusercontent.com",
      .shape = Shape::kList, .places = Places::kNotInFlags},
     take_domains<AIRLOCK_AT(jobs.network.allowed_prep_domains)>},
    {{.name = "security.network_policy.allowed_build_domains", .value = "HOST",
      .group = kNetwork, .help = "", .fallback = "", .unset = "the registries of what is built",
      .shape = Shape::kList, .places = Places::kNotInFlags},
     take_domains<AIRLOCK_AT(jobs.network.allowed_build_domains)>},
    {{.name = "security.network_policy.blocked_domains", .value = "HOST", .group = kNetwork,
      .help = "", .fallback = "", .unset = "none", .shape = Shape::kList,
      .places = Places::kNotInFlags},
     take_egress_list<&egress::PolicySpec::blocked, AIRLOCK_AT(jobs.network.blocked_domains)>},

    {{.name = "storage.file_roots", .value = "DIR", .group = kStorage,
      .help = "A folder below which file:// may name things; repeatable", .fallback = "",
      .unset = "files/ in the state directory", .shape = Shape::kList}, take_roots},
    {{.name = "storage.s3_endpoint", .value = "URL", .group = kStorage, .help = "",
      .fallback = "", .unset = "that of AWS", .places = Places::kNotInFlags},
     take_text<AIRLOCK_AT(s3.endpoint)>},
    {{.name = "storage.s3_region", .value = "NAME", .group = kStorage, .help = "",
      .fallback = "", .unset = "us-east-1", .places = Places::kNotInFlags},
     take_text<AIRLOCK_AT(s3.region)>},
    {{.name = "storage.s3_access_key", .value = "KEY", .group = kStorage, .help = "",
      .fallback = "", .unset = "of the environment", .places = Places::kSecret},
     take_text<AIRLOCK_AT(s3.access_key)>},
    {{.name = "storage.s3_secret_key", .value = "KEY", .group = kStorage, .help = "",
      .fallback = "", .unset = "of the environment", .places = Places::kSecret},
     take_text<AIRLOCK_AT(s3.secret_key)>},
    {{.name = "storage.s3_credentials_file", .value = "FILE", .group = kStorage, .help = "",
      .fallback = "", .unset = "of the environment", .places = Places::kNotInFlags},
     take_text<AIRLOCK_AT(s3.credentials_file)>},
    {{.name = "storage.s3_style", .value = "auto|path|virtual", .group = kStorage, .help = "",
      .fallback = "", .unset = "auto", .places = Places::kNotInFlags},
     take_text<AIRLOCK_AT(s3.style)>},
    {{.name = "storage.s3_ca_file", .value = "FILE", .group = kStorage, .help = "",
      .fallback = "", .unset = "the host's", .places = Places::kNotInFlags},
     take_text<AIRLOCK_AT(s3.ca_file)>},
    {{.name = "storage.s3_attempts", .value = "N", .group = kStorage, .help = "",
      .fallback = "8", .places = Places::kNotInFlags},
     take_count<AIRLOCK_AT(s3_retry.attempts), 1, 100>},
    {{.name = "storage.build_cache_gb", .value = "N", .group = kStorage, .help = "",
      .fallback = "20", .places = Places::kNotInFlags},
     take_gibibytes<AIRLOCK_AT(jobs.history.builds)>},
    {{.name = "storage.history_days", .value = "N", .group = kStorage, .help = "",
      .fallback = "30", .places = Places::kNotInFlags},
     take_days<AIRLOCK_AT(jobs.history.age)>},
    {{.name = "storage.history_jobs", .value = "N", .group = kStorage, .help = "",
      .fallback = "10000", .places = Places::kNotInFlags},
     take_count<AIRLOCK_AT(jobs.history.count), 1, kAnyCount>},

    {{.name = "scheduler.starvation_threshold_seconds", .value = "N", .group = kScheduler,
      .help = "", .fallback = "3600", .places = Places::kNotInFlags},
     take_seconds<AIRLOCK_AT(jobs.queue.starvation_threshold)>},
    {{.name = "scheduler.priority_step_seconds", .value = "N", .group = kScheduler, .help = "",
      .fallback = "1800", .places = Places::kNotInFlags},
     take_seconds<AIRLOCK_AT(jobs.queue.priority_step)>},
    {{.name = "scheduler.fairness_span_seconds", .value = "N", .group = kScheduler, .help = "",
      .fallback = "86400", .places = Places::kNotInFlags},
     take_seconds<AIRLOCK_AT(jobs.queue.fairness_span)>},
    {{.name = "scheduler.window", .value = "N", .group = kScheduler, .help = "", .fallback = "32",
      .places = Places::kNotInFlags}, take_count<AIRLOCK_AT(jobs.queue.window), 1, 1'000>},
};
// clang-format on

#undef AIRLOCK_AT

}  // namespace
}  // namespace job_table

std::span<const SettingRow> job_rows() { return job_table::kRows; }

}  // namespace airlock::apps
