#include "apps/airlock/serve_aliases.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "base/ascii.h"
#include "base/units.h"
#include "config/quantity.h"
#include "language/nearest_name.h"

namespace airlock::apps {
namespace {

using config::Environment;
using config::Layer;
using config::Values;

// An alias's text as the setting has it.
using Translate = base::Result<std::string> (*)(const std::string& text);

struct Alias {
  std::string_view variable;
  std::string_view setting;
  Translate translate = nullptr;  // null: as it is
};

enum class Rule {
  kNoEffect,      // named
  kNoEffectIfOn,  // a switch: named if it is on, and as it should be if it is off
  kRefusedIfOn,   // a switch
};

struct OtherVariable {
  std::string_view variable;  // with a '*' at its end: all that begin so
  Rule rule;
  std::string_view reason;
};

base::Status refuse(std::string message, std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::move(message), std::move(hint));
}

// "" for one that is not there: empty counts as not set.
std::string value_of(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

base::Result<std::string> bytes_of_kubernetes(const std::string& text) {
  AIRLOCK_ASSIGN(const base::ByteCount bytes, config::parse_kubernetes_bytes(text));
  return std::to_string(bytes.count());
}

base::Result<std::string> cores_of_kubernetes(const std::string& text) {
  AIRLOCK_ASSIGN(const std::uint32_t percent, config::parse_kubernetes_cores(text));
  std::array<char, 32> cores;
  std::snprintf(cores.data(), cores.size(), "%.2f", percent / 100.0);
  return std::string(cores.data());
}

base::Result<std::string> level_of(const std::string& text) {
  std::string level = base::ascii_lower(text);
  if (level == "warn") return std::string("warning");
  if (level == "trace" || level == "verbose") return std::string("debug");
  if (level == "fatal" || level == "critical") return std::string("error");
  return level;
}

constexpr Alias kAmonAliases[] = {
    {"AMON_SANDBOX_API_KEY", "api_key"},
    {"AMON_SANDBOX_MAX_CONCURRENCY", "slots"},
    {"AMON_SANDBOX_MAX_CODE_BYTES", "amon_code_bytes"},
    {"AMON_SANDBOX_MAX_FILE_COUNT", "amon_files"},
    {"AMON_SANDBOX_MAX_SINGLE_FILE_BYTES", "amon_file_bytes"},
    {"AMON_SANDBOX_MAX_INPUT_TOTAL_BYTES", "amon_input_bytes"},
    {"AMON_SANDBOX_MAX_OUTPUT_TOTAL_BYTES", "amon_output_bytes"},
    {"AMON_SANDBOX_PIDS_LIMIT", "amon_pids"},
    {"AMON_SANDBOX_CPUS", "amon_cpus"},
    {"AMON_SANDBOX_MEMORY", "amon_memory"},
    {"AMON_SANDBOX_TMPFS_SIZE", "amon_disk"},
};
// What has no setting of one name: see check_amon.
constexpr std::string_view kAmonOthers[] = {"AMON_SANDBOX_HOST", "AMON_SANDBOX_PORT",
                                            "AMON_SANDBOX_MEMORY_SWAP", "AMON_SANDBOX_IMAGE",
                                            "AMON_SANDBOX_JOBS_DIR"};
constexpr std::string_view kAmonImage = "amon-sandbox-python:latest";
constexpr std::string_view kAmonMemory = "512m";

constexpr Alias kSwissbrainAliases[] = {
    {"MAX_MEMORY", "max_memory", bytes_of_kubernetes},
    {"MAX_CPU", "max_cpus", cores_of_kubernetes},
    {"MAX_EXECUTION_TIME", "max_wall"},
    {"LOG_LEVEL", "log_level", level_of},
    {"CONNECTION_TIMEOUT", "head_timeout"},
    {"REQUEST_TIMEOUT", "body_timeout"},
    {"KEEPALIVE_TIMEOUT", "idle_timeout"},
};
constexpr OtherVariable kSwissbrainOthers[] = {
    {"ENABLE_METRICS", Rule::kNoEffectIfOn, "no metrics are served yet; GET /health has counts"},
    {"ENABLE_TRACING", Rule::kNoEffectIfOn, "no traces are made"},
    {"RATE_LIMIT_ENABLED", Rule::kNoEffectIfOn,
     "requests are not counted by caller; slots and waiting bound what runs"},
    {"RATE_LIMIT_*", Rule::kNoEffect, "requests are not counted by caller"},
    {"HEALTH_CHECK_*", Rule::kNoEffect, "whoever checks decides how often and how long"},
    {"NODE_ENV", Rule::kNoEffect, "nothing depends on it"},
    {"POD_*", Rule::kNoEffect, "nothing depends on the pod"},
    {"SUPABASE_*", Rule::kNoEffect, "nothing is stored elsewhere"},
};
constexpr std::string_view kSwissbrainListen = "http://127.0.0.1:8000";

base::Status put_alias(Values& values, const Alias& alias, const Environment& environment) {
  const std::string text = value_of(environment, alias.variable);
  if (text.empty()) return {};
  std::string translated = text;
  if (alias.translate != nullptr) {
    AIRLOCK_ASSIGN(translated, alias.translate(text).with_context(alias.variable));
  }
  values.put(alias.setting, {{translated}, Layer::kAlias, std::string(alias.variable)});
  return {};
}

// Two variables that are one listener.
void put_listener(Values& values, const Environment& environment, std::string_view host_variable,
                  std::string_view port_variable, std::string_view default_port) {
  const std::string host = value_of(environment, host_variable);
  const std::string port = value_of(environment, port_variable);
  if (host.empty() && port.empty()) return;
  const std::string named = host.empty() ? "127.0.0.1" : host;
  const bool bare_v6 = named.find(':') != std::string::npos && !named.starts_with('[');
  const std::string url = "http://" + (bare_v6 ? "[" + named + "]" : named) + ":" +
                          (port.empty() ? std::string(default_port) : port);
  std::string origin(host.empty() ? port_variable : host_variable);
  if (!host.empty() && !port.empty()) origin += ", " + std::string(port_variable);
  values.put("listen", {{url}, Layer::kAlias, std::move(origin)});
}

base::Status check_amon_swap(const Environment& environment) {
  const std::string swap = value_of(environment, "AMON_SANDBOX_MEMORY_SWAP");
  if (swap.empty()) return {};
  const std::string given = value_of(environment, "AMON_SANDBOX_MEMORY");
  const std::string memory = given.empty() ? std::string(kAmonMemory) : given;
  const auto swap_bytes = base::parse_byte_count(swap);
  const auto memory_bytes = base::parse_byte_count(memory);
  if (swap_bytes && memory_bytes && *swap_bytes == *memory_bytes) return {};
  return refuse("AMON_SANDBOX_MEMORY_SWAP is " + swap + ", and memory " + memory +
                    ": a sandbox has memory and no swap, so that both are the same",
                "leave AMON_SANDBOX_MEMORY_SWAP out, and give AMON_SANDBOX_MEMORY the sum");
}

base::Status put_amon(Values& values, const Environment& environment,
                      std::vector<Notice>& notices) {
  for (const Alias& alias : kAmonAliases) AIRLOCK_TRY(put_alias(values, alias, environment));
  put_listener(values, environment, "AMON_SANDBOX_HOST", "AMON_SANDBOX_PORT", "8088");
  AIRLOCK_TRY(check_amon_swap(environment));
  const std::string image = value_of(environment, "AMON_SANDBOX_IMAGE");
  if (!image.empty() && image != kAmonImage) {
    return refuse("AMON_SANDBOX_IMAGE is " + image +
                      ": programs run with the toolchains below /usr of this host, not in an image",
                  "install there what the image has (airlock languages lists it), and unset this");
  }
  if (!value_of(environment, "AMON_SANDBOX_JOBS_DIR").empty()) {
    notices.push_back({"AMON_SANDBOX_JOBS_DIR",
                       "files of a run are in memory, or below --state-dir if they are large"});
  }
  return {};
}

bool matches(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return pattern == name;
  return name.starts_with(pattern.substr(0, pattern.size() - 1));
}

base::Status apply(const OtherVariable& other, const std::string& name, const std::string& text,
                   std::vector<Notice>& notices) {
  if (other.rule != Rule::kNoEffect) {
    AIRLOCK_ASSIGN(const bool on, config::parse_switch(text).with_context(name));
    if (!on) return {};
    if (other.rule == Rule::kRefusedIfOn) {
      return refuse(name + " is " + text + ": " + std::string(other.reason),
                    "set " + name + "=false");
    }
  }
  notices.push_back({name, std::string(other.reason)});
  return {};
}

base::Status put_debug_switch(Values& values, const Environment& environment) {
  for (const std::string_view name : {"ENABLE_DEBUG", "DEBUG"}) {
    const std::string text = value_of(environment, name);
    if (text.empty()) continue;
    AIRLOCK_ASSIGN(const bool on, config::parse_switch(text).with_context(name));
    if (on) values.put("log_level", {{"debug"}, Layer::kAlias, std::string(name)});
  }
  return {};
}

// A domain of that list is the host of that name and all below it.
std::vector<std::string> hosts_of_domains(std::string_view text) {
  std::vector<std::string> hosts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string domain(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    std::erase(domain, ' ');
    if (domain.empty()) continue;
    if (domain.starts_with("*.")) domain.erase(0, 2);
    hosts.push_back(domain);
    if (domain.find(':') == std::string::npos) hosts.push_back("." + domain);
  }
  return hosts;
}

base::Status put_domains(Values& values, const Environment& environment,
                         std::vector<Notice>& notices) {
  const std::string domains = value_of(environment, "ALLOWED_DOMAINS");
  const std::string text = value_of(environment, "ENABLE_NETWORK");
  bool on = false;
  if (!text.empty()) {
    AIRLOCK_ASSIGN(on, config::parse_switch(text).with_context("ENABLE_NETWORK"));
  }
  if (on) {
    values.put("swissbrain_network", {{"on"}, Layer::kAlias, "ENABLE_NETWORK"});
    if (!domains.empty()) {
      values.put("egress_allow", {hosts_of_domains(domains), Layer::kAlias, "ALLOWED_DOMAINS"});
    }
  } else if (!domains.empty()) {
    notices.push_back({"ALLOWED_DOMAINS", "ENABLE_NETWORK is not on: no domain is allowed"});
  }
  return {};
}

base::Status put_swissbrain(Values& values, const Environment& environment,
                            std::vector<Notice>& notices) {
  values.put_default("listen", std::string(kSwissbrainListen));
  for (const Alias& alias : kSwissbrainAliases) AIRLOCK_TRY(put_alias(values, alias, environment));
  put_listener(values, environment, "HOST", "PORT", "8000");
  AIRLOCK_TRY(put_debug_switch(values, environment));
  AIRLOCK_TRY(put_domains(values, environment, notices));
  const std::string format = value_of(environment, "LOG_FORMAT");
  if (!format.empty() && format != "json") {
    return refuse("LOG_FORMAT is " + format + ": logs are one JSON object per line",
                  "set LOG_FORMAT=json");
  }
  for (const auto& [name, text] : environment) {
    if (text.empty()) continue;
    const auto* const other = std::ranges::find_if(
        kSwissbrainOthers, [&](const OtherVariable& each) { return matches(each.variable, name); });
    if (other == std::end(kSwissbrainOthers)) continue;
    AIRLOCK_TRY(apply(*other, name, text, notices));
  }
  return {};
}

}  // namespace

base::Result<std::vector<Notice>> put_aliases(Values& values, const Environment& environment) {
  std::vector<Notice> notices;
  AIRLOCK_TRY(put_amon(values, environment, notices));
  if (values.text("compat") == kSwissbrainCompat) {
    AIRLOCK_TRY(put_swissbrain(values, environment, notices));
  }
  return notices;
}

std::vector<Notice> find_unknown_variables(const Values& values, const Environment& environment) {
  // Of other programs of ours, and of the tests.
  constexpr std::string_view kOthers[] = {
      "AIRLOCK_JAIL",   "AIRLOCK_DAEMON_FDS", "AIRLOCK_JAIL_*",  "AIRLOCK_TEST_*",
      "AIRLOCK_SOAK_*", "AIRLOCK_BENCH_*",    "AIRLOCK_VERSION", "AIRLOCK_SERVER"};
  std::vector<std::string> known;
  for (const config::Setting& setting : values.settings()) known.push_back(variable_of(setting));
  for (const Alias& alias : kAmonAliases) known.emplace_back(alias.variable);
  for (const std::string_view name : kAmonOthers) known.emplace_back(name);
  std::vector<Notice> unknown;
  for (const auto& [name, text] : environment) {
    if (!name.starts_with("AIRLOCK_") && !name.starts_with("AMON_SANDBOX_")) continue;
    if (std::ranges::find(known, name) != known.end()) continue;
    if (std::ranges::any_of(kOthers, [&](auto other) { return matches(other, name); })) continue;
    unknown.push_back({name, "no setting has this variable" + language::did_you_mean(name, known)});
  }
  return unknown;
}

}  // namespace airlock::apps
