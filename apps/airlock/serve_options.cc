#include "apps/airlock/serve_options.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "apps/airlock/serve_settings.h"
#include "apps/airlock/ssh_settings.h"
#include "backend/mode.h"
#include "base/units.h"
#include "config/config_file.h"
#include "language/nearest_name.h"
#include "runner/run_service.h"

namespace airlock::apps {
namespace {

using config::Environment;
using config::Layer;
using config::Setting;
using config::Values;

constexpr const char* kFooter =
    "Every option has a variable, --max-wall is AIRLOCK_MAX_WALL, and a key of the --config file,\n"
    "max_wall. A flag wins over a variable, that over the file. The key itself can be in\n"
    "AIRLOCK_API_KEY. AMON_SANDBOX_* are understood, too. docs/cli.md has them all.\n\n"
    "Examples:\n"
    "  airlock serve\n"
    "  airlock serve --config airlock.yaml --print-config\n"
    "  curl -sd '{\"language\":\"python\",\"code\":\"print(6*7)\"}' \\\n"
    "    -H 'Content-Type: application/json' http://127.0.0.1:8088/v1/run\n";

// How much larger than their bytes the files and the code of POST /run are as JSON.
constexpr std::size_t kJsonAllowance = std::size_t{1} << 20;

base::Status refuse(std::string message, std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::move(message), std::move(hint));
}

struct Flags {
  std::map<std::string_view, std::vector<std::string>> texts;  // by the setting's name
  bool print_config = false;
  bool help = false;
};

class HelpFormatter final : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(32); }
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: airlock serve [options]\n";
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_name().empty() ? "" : " " + option->get_type_name();
  }
};

bool has_flag(const Setting& setting) {
  return setting.places == config::Places::kEverywhere ||
         setting.places == config::Places::kNotInFile;
}

std::string help_of(const Setting& setting) {
  const std::string_view otherwise = setting.fallback.empty() ? setting.unset : setting.fallback;
  return std::string(setting.help) + " [" + std::string(otherwise) + "]";
}

void add_options(CLI::App& app, Flags& flags) {
  for (const Setting& setting : serve_settings()) {
    if (!has_flag(setting)) continue;
    CLI::Option* const option =
        app.add_option(flag_of(setting), flags.texts[setting.name], help_of(setting));
    option->type_name(std::string(setting.value))->group(std::string(setting.group));
    option->allow_extra_args(false);
    if (setting.shape == config::Shape::kList) option->delimiter(',');
  }
  app.add_flag("--print-config", flags.print_config,
               "Print every setting and where it comes from, and end")
      ->group("Help");
  app.add_flag("--help,-h", flags.help, "Print this, and end")->group("Help");
}

bool asks_for_help(const std::vector<std::string>& words) {
  return std::ranges::any_of(
      words, [](const std::string& word) { return word == "--help" || word == "-h"; });
}

base::Status unknown_flag(const std::string& message, const std::vector<std::string>& words) {
  std::vector<std::string> known = {"--print-config", "--help"};
  for (const Setting& setting : serve_settings()) {
    if (has_flag(setting)) known.push_back(flag_of(setting));
  }
  for (const std::string& word : words) {
    const std::string name = word.substr(0, word.find('='));
    if (!name.starts_with("--") || std::ranges::find(known, name) != known.end()) continue;
    const auto settings = serve_settings();
    const auto other = std::ranges::find(settings, name, config::flag_of);
    if (other != settings.end()) {
      return refuse(name + " is no option", "set " + variable_of(*other));
    }
    return refuse("there is no option " + name + language::did_you_mean(name, known),
                  "see airlock serve --help");
  }
  return refuse(message, "see airlock serve --help");
}

base::Status put_flags(Values& values, const Flags& flags) {
  for (const Setting& setting : serve_settings()) {
    const auto given = flags.texts.find(setting.name);
    if (given == flags.texts.end() || given->second.empty()) continue;
    if (setting.shape == config::Shape::kOne && given->second.size() > 1) {
      return refuse(flag_of(setting) + " is there twice", "see airlock serve --help");
    }
    if (given->second.front().empty()) return refuse(flag_of(setting) + " is empty");
    values.put(setting.name, {given->second, Layer::kFlag, flag_of(setting)});
  }
  return {};
}

base::Status check_key(const std::string& key, const std::string& where) {
  if (key.size() < kApiKeyBytesMin || key.size() > kApiKeyBytesMax) {
    return refuse("the key in " + where + " has " + std::to_string(key.size()) +
                      " bytes; it needs " + std::to_string(kApiKeyBytesMin) + " to " +
                      std::to_string(kApiKeyBytesMax),
                  "make one: openssl rand -hex 32");
  }
  const bool printable = std::ranges::all_of(key, [](char c) { return c > ' ' && c < 127; });
  if (!printable) return refuse("the key in " + where + " has characters that no header can carry");
  return {};
}

// A file wins over a variable that was said at the same place.
base::Status take_key(const Values& values, ServeOptions& options) {
  const config::Value& key = values.of("api_key");
  const config::Value& file = values.of("api_key_file");
  if (!file.texts.empty() && (key.texts.empty() || file.layer >= key.layer)) {
    const std::string& path = file.texts.front();
    // Why safe: the kernel copies the path; O_NONBLOCK keeps a fifo from blocking the open.
    const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid()) {
      return base::fail(values.refuse("api_key_file", base::errno_error("open " + path)));
    }
    AIRLOCK_ASSIGN(options.api_key, read_key_from(fd.get(), path));
  } else if (!key.texts.empty()) {
    options.api_key = key.texts.front();
    AIRLOCK_TRY(check_key(options.api_key, key.origin));
  }
  return {};
}

// Those of the maxima that somebody has said: they hold on every route.
model::LimitsGiven said_maxima(const Values& values, const model::Limits& max) {
  model::LimitsGiven said;
  if (values.is_set("max_wall")) said.wall_time = max.wall_time;
  if (values.is_set("max_cpu_time")) said.cpu_time = max.cpu_time;
  if (values.is_set("max_cpus") && max.cpu_rate_percent != 0) {
    said.cpu_rate_percent = max.cpu_rate_percent;
  }
  if (values.is_set("max_memory")) said.memory = max.memory;
  if (values.is_set("max_pids")) said.pids = max.pids;
  if (values.is_set("max_disk")) said.disk = max.disk;
  if (values.is_set("max_inodes")) said.inodes = max.inodes;
  if (values.is_set("max_open_files")) said.open_files = max.open_files;
  if (values.is_set("max_output")) said.output = max.output;
  return said;
}

struct Pair {
  std::string_view value;
  std::string_view maximum;
  bool above;
};

// Two wishes that cannot both be obeyed. A default of ours gives way in silence.
base::Status check_pairs(const Values& values, const ServeOptions& options) {
  const model::Limits& max = options.limits.limits_max;
  const model::Limits& usual = options.limits.defaults;
  const http::AmonLimits& amon = options.amon;
  const auto above_rate = [&](std::uint32_t rate) {
    return max.cpu_rate_percent != 0 && rate > max.cpu_rate_percent;
  };
  const Pair pairs[] = {
      {"default_wall", "max_wall", usual.wall_time > max.wall_time},
      {"default_cpu_time", "max_cpu_time", usual.cpu_time > max.cpu_time},
      {"default_cpus", "max_cpus", above_rate(usual.cpu_rate_percent)},
      {"default_memory", "max_memory", usual.memory > max.memory},
      {"default_pids", "max_pids", usual.pids > max.pids},
      {"default_disk", "max_disk", usual.disk > max.disk},
      {"default_output", "max_output", usual.output > max.output},
      {"amon_cpus", "max_cpus", above_rate(amon.cpu_rate_percent)},
      {"amon_memory", "max_memory", amon.memory > max.memory},
      {"amon_pids", "max_pids", amon.pids > max.pids},
      {"amon_disk", "max_disk", amon.disk > max.disk},
  };
  for (const Pair& pair : pairs) {
    if (!pair.above || !values.is_set(pair.value)) continue;
    return base::fail(values.refuse(
        pair.value, {.code = base::ErrorCode::kInvalidArgument,
                     .os_errno = 0,
                     .message = values.text(pair.value) + " is above " + std::string(pair.maximum) +
                                ", which is " + values.text(pair.maximum) + " (" +
                                values.of(pair.maximum).origin + ")",
                     .hint = "raise " + std::string(pair.maximum) + ", or lower this"}));
  }
  return {};
}

// Inputs come as base64, code as a JSON string.
base::Status size_bodies(const Values& values, ServeOptions& options) {
  http::AmonLimits& amon = options.amon;
  const std::size_t needed =
      amon.input_bytes_max / 3 * 4 + amon.code_bytes_max * 2 + kJsonAllowance;
  amon.body_bytes_max = std::max(amon.body_bytes_max, needed);
  const std::size_t body_max = options.limits.body_bytes_max.count();
  const bool said = values.is_set("amon_input_bytes") || values.is_set("amon_code_bytes");
  if (said && needed > body_max) {
    const std::string needed_text = base::format_byte_count(base::ByteCount(needed));
    return refuse("requests to POST /run with all inputs and code that are allowed have up to " +
                      needed_text + "; a body has at most " +
                      base::format_byte_count(options.limits.body_bytes_max),
                  "raise --max-body");
  }
  if (body_max > options.server.request_bytes_max) {
    return refuse("a body of --max-body would not fit into half of --memory-budget",
                  "raise --memory-budget to twice as much, or lower --max-body");
  }
  return {};
}

ServeConfig make_config() {
  ServeConfig config{.values = config::Values(serve_settings()), .notices = {}};
  config.values.put_default("slots", std::to_string(runner::count_slots(0)));
  return config;
}

base::Status put_config_file(Values& values) {
  const std::string path = values.text("config");
  if (path.empty()) return {};
  const auto text = config::read_config_file(path);
  if (!text) return base::fail(values.refuse("config", text.error()));
  return config::put_file(values, *text, path);
}

}  // namespace

base::Result<std::string> read_key_from(int fd, const std::string& where) {
  std::array<char, kApiKeyBytesMax + 2> text;
  // Why safe: at most text.size() bytes are written to it.
  const ssize_t count = ::read(fd, text.data(), text.size());
  if (count < 0) return base::fail_errno("read the key in " + where);
  std::string key(text.data(), static_cast<std::size_t>(count));
  while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) key.pop_back();
  AIRLOCK_TRY(check_key(key, where));
  return key;
}

// One policy for every route; what was wrong with an entry of it has been said with its place.
base::Status set_egress(ServeOptions& options) {
  options.egress.fix = "egress_allow of the service would have to name it";
  AIRLOCK_ASSIGN(options.limits.egress, egress::Policy::make(options.egress));
  options.swissbrain.egress = options.limits.egress;
  options.swissbrain.egress_budget = options.limits.egress_budget;
  if (options.swissbrain.network && options.limits.egress.allows_nothing()) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "programs of POST /execute are to have a network, but no host is allowed",
                      "name hosts in ALLOWED_DOMAINS or --egress-allow");
  }
  return {};
}

base::Result<std::variant<ServeConfig, ServeHelp>> read_serve_config(
    std::vector<std::string> words, const Environment& environment) {
  Flags flags;
  CLI::App app("Serves runs over HTTP until it is told to end.", "airlock serve");
  app.set_help_flag();
  app.formatter(std::make_shared<HelpFormatter>());
  app.footer(kFooter);
  add_options(app, flags);
  if (asks_for_help(words)) return std::variant<ServeConfig, ServeHelp>(ServeHelp{app.help()});
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ExtrasError& error) {
    AIRLOCK_TRY(unknown_flag(error.what(), words));
  } catch (const CLI::ParseError& error) {
    return base::fail(base::ErrorCode::kInvalidArgument, error.what(), "see airlock serve --help");
  }
  ServeConfig config = make_config();
  config.print_only = flags.print_config;
  AIRLOCK_TRY(put_flags(config.values, flags));
  config.values.put_variables(environment);
  AIRLOCK_TRY(put_config_file(config.values));
  AIRLOCK_ASSIGN(config.notices, put_aliases(config.values, environment));
  for (Notice& notice : find_unknown_variables(config.values, environment)) {
    config.notices.push_back(std::move(notice));
  }
  return std::variant<ServeConfig, ServeHelp>(std::move(config));
}

base::Result<ServeConfig> decode_serve_config(std::string_view records) {
  ServeConfig config = make_config();
  AIRLOCK_TRY(config.values.decode(records));
  return config;
}

// Those that a request may name: none but in Docker's own modes.
model::ImageList images_of(const ExecutionOptions& execution) {
  if (!backend::has_images(execution.mode)) return {};
  std::vector<std::string> names = execution.images;
  names.push_back(execution.docker_image);
  return model::ImageList(std::move(names));
}

base::Status check_execution(const Values& values, const ExecutionOptions& execution) {
  if (!execution.chain().empty()) return {};
  const bool too_weak = backend::level_of_backend(execution.mode) < execution.min_isolation;
  return base::fail(values.refuse(
      "execution.mode",
      {.code = base::ErrorCode::kInvalidArgument,
       .os_errno = 0,
       .message = too_weak
                      ? "\"" + execution.mode + "\" gives less than execution.min_isolation"
                      : "\"" + execution.mode + "\" is switched off by security.gvisor.enabled",
       .hint = too_weak ? "\"gvisor\" and \"docker+gvisor\" have a kernel of their own" : ""}));
}

base::Result<ServeOptions> make_serve_options(const Values& values) {
  ServeOptions options;
  AIRLOCK_TRY(take_serve_values(values, options));
  AIRLOCK_TRY(take_key(values, options));
  AIRLOCK_ASSIGN(options.jobs.ssh, read_ssh_settings(values));
  AIRLOCK_TRY(check_pairs(values, options));
  AIRLOCK_TRY(check_execution(values, options.execution));
  options.limits.images = images_of(options.execution);
  AIRLOCK_TRY(size_bodies(values, options));
  AIRLOCK_TRY(http::validate(options.limits));
  options.amon.maxima = said_maxima(values, options.limits.limits_max);
  options.swissbrain.maxima = options.amon.maxima;
  AIRLOCK_TRY(set_egress(options));
  return options;
}

std::string MetricsOptions::url() const {
  const bool is_bare_v6 = host.find(':') != std::string::npos && !host.starts_with('[');
  return "http://" + (is_bare_v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port.value_or(0));
}

base::Result<ListenAddress> default_listen_address(const Environment& environment) {
  AIRLOCK_ASSIGN(const auto read, read_serve_config({}, environment));
  return parse_listen_address(std::get<ServeConfig>(read).values.text("listen"));
}

}  // namespace airlock::apps
