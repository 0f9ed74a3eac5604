// What can be said about what makes sandboxes. Names and values of security.gvisor are those of the
// evaluation host that this replaces; what of them cannot be obeyed is refused.
#include <algorithm>
#include <string>

#include "apps/airlock/setting_row.h"
#include "backend/mode.h"
#include "language/nearest_name.h"

namespace airlock::apps {
namespace execution_table {
namespace {

using config::Places;
using config::Value;

constexpr std::string_view kExecution = "What makes sandboxes";

std::string joined(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

base::Status take_one_of(const Value& value, std::span<const std::string_view> names,
                         std::string* place) {
  const std::string& text = value.texts.front();
  if (std::ranges::find(names, text) == names.end()) {
    const std::vector<std::string> known(names.begin(), names.end());
    return refuse_value("\"" + text + "\" is none of " + joined(names) +
                        language::did_you_mean(text, known));
  }
  *place = text;
  return {};
}

base::Status take_mode(const Value& value, ServeOptions& options) {
  return take_one_of(value, backend::mode_names(), &options.execution.mode);
}

base::Status take_min_isolation(const Value& value, ServeOptions& options) {
  constexpr std::string_view kLevels[] = {"process", "container", "kernel"};
  std::string name;
  AIRLOCK_TRY(take_one_of(value, kLevels, &name));
  options.execution.min_isolation = *model::find_isolation_level(name);
  return {};
}

base::Status take_docker_socket(const Value& value, ServeOptions& options) {
  constexpr std::string_view kScheme = "unix://";
  std::string path = value.texts.front();
  if (path.starts_with(kScheme)) path.erase(0, kScheme.size());
  if (!path.starts_with('/')) {
    return refuse_value("\"" + value.texts.front() + "\" is no unix socket",
                        "such as unix:///var/run/docker.sock; Docker over TCP is not supported");
  }
  options.execution.docker_socket = path;
  return {};
}

base::Status check_image(const std::string& text) {
  if (backend::is_image_name(text)) return {};
  return refuse_value("\"" + text + "\" is no name of an image",
                      "such as debian:12 or registry.example.com/tools@sha256:...");
}

base::Status take_docker_image(const Value& value, ServeOptions& options) {
  AIRLOCK_TRY(check_image(value.texts.front()));
  options.execution.docker_image = value.texts.front();
  return {};
}

base::Status take_images(const Value& value, ServeOptions& options) {
  for (const std::string& text : value.texts) AIRLOCK_TRY(check_image(text));
  if (value.texts.size() > model::kImagesMax) {
    return refuse_value("more than " + std::to_string(model::kImagesMax) + " images");
  }
  options.execution.images = value.texts;
  return {};
}

base::Status take_image_pull(const Value& value, ServeOptions& options) {
  constexpr std::string_view kNames[] = {"never", "missing", "always"};
  return take_one_of(value, kNames, &options.execution.image_pull);
}

base::Status take_gvisor_platform(const Value& value, ServeOptions& options) {
  constexpr std::string_view kNames[] = {"ptrace", "kvm", "systrap"};
  return take_one_of(value, kNames, &options.execution.gvisor_platform);
}

base::Status take_gvisor_file_access(const Value& value, ServeOptions& options) {
  constexpr std::string_view kNames[] = {"exclusive", "shared"};
  return take_one_of(value, kNames, &options.execution.gvisor_file_access);
}

base::Status take_gvisor_network(const Value& value, ServeOptions&) {
  if (value.texts.front() == "none") return {};
  return refuse_value("\"" + value.texts.front() + "\" is no network that a sandbox can have",
                      "\"none\" is; programs reach what they may through the egress gateway");
}

// The root of our containers cannot be written to, whatever lies over it.
base::Status take_gvisor_overlay(const Value& value, ServeOptions&) {
  AIRLOCK_TRY(config::parse_switch(value.texts.front()));
  return {};
}

constexpr std::int64_t kStartTimeoutMinMs = 1'000;
// Below what a keeper waits for a program to start (jail/guest_process.h).
constexpr std::int64_t kStartTimeoutMaxMs = 25'000;

#define AIRLOCK_AT(member) [](ServeOptions& all) -> auto& { return all.member; }

// clang-format off
constexpr SettingRow kRows[] = {
    {{.name = "execution.mode", .value = "MODE", .group = kExecution,
      .help = "auto, direct, gvisor, docker or docker+gvisor",
      .fallback = "auto"}, take_mode},
    {{.name = "execution.fallback_on_error", .value = "true|false", .group = kExecution,
      .help = "Where that cannot be had, take another that can",
      .fallback = "true"}, take_switch<AIRLOCK_AT(execution.fallback_on_error)>},
    {{.name = "execution.min_isolation", .value = "LEVEL", .group = kExecution,
      .help = "The least that any sandbox gives: process, container or kernel",
      .fallback = "process"}, take_min_isolation},
    {{.name = "execution.docker_image", .value = "IMAGE", .group = kExecution,
      .help = "The root of Docker's containers: a name or a digest",
      .fallback = "airlock-base"}, take_docker_image},
    {{.name = "execution.images", .value = "IMAGE", .group = kExecution,
      .help = "An image of Docker's that a run or job may ask for; repeatable", .fallback = "",
      .unset = "none", .shape = config::Shape::kList}, take_images},
    {{.name = "execution.image_pull", .value = "WHEN", .group = kExecution, .help = "",
      .fallback = "missing", .places = Places::kNotInFlags}, take_image_pull},
    {{.name = "execution.docker_socket", .value = "SOCKET", .group = kExecution, .help = "",
      .fallback = "unix:///var/run/docker.sock", .places = Places::kNotInFlags},
     take_docker_socket},
    {{.name = "execution.start_timeout", .value = "TIME", .group = kExecution, .help = "",
      .fallback = "20s", .places = Places::kNotInFlags},
     take_time<AIRLOCK_AT(execution.start_timeout), kStartTimeoutMinMs, kStartTimeoutMaxMs>},
    {{.name = "security.gvisor.enabled", .value = "true|false", .group = kExecution, .help = "",
      .fallback = "true", .places = Places::kNotInFlags},
     take_switch<AIRLOCK_AT(execution.gvisor_enabled)>},
    {{.name = "security.gvisor.program", .value = "FILE", .group = kExecution, .help = "",
      .fallback = "runsc", .places = Places::kNotInFlags},
     take_text<AIRLOCK_AT(execution.gvisor_program)>},
    {{.name = "security.gvisor.platform", .value = "NAME", .group = kExecution, .help = "",
      .fallback = "ptrace", .places = Places::kNotInFlags}, take_gvisor_platform},
    {{.name = "security.gvisor.network_mode", .value = "NAME", .group = kExecution, .help = "",
      .fallback = "none", .places = Places::kNotInFlags}, take_gvisor_network},
    {{.name = "security.gvisor.file_access", .value = "NAME", .group = kExecution, .help = "",
      .fallback = "exclusive", .places = Places::kNotInFlags}, take_gvisor_file_access},
    {{.name = "security.gvisor.overlay", .value = "true|false", .group = kExecution, .help = "",
      .fallback = "true", .places = Places::kNotInFlags}, take_gvisor_overlay},
};
// clang-format on

#undef AIRLOCK_AT

}  // namespace
}  // namespace execution_table

std::span<const SettingRow> execution_rows() { return execution_table::kRows; }

std::vector<std::string> ExecutionOptions::chain() const {
  std::vector<std::string> chain = backend::backend_chain(mode, fallback_on_error, min_isolation);
  if (!gvisor_enabled) std::erase(chain, backend::kGvisor);
  return chain;
}

}  // namespace airlock::apps
