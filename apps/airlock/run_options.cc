#include "apps/airlock/run_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <span>
#include <utility>

#include "apps/airlock/parse_words.h"
#include "backend/mode.h"
#include "config/quantity.h"
#include "runner/input_path.h"

namespace airlock::apps {
namespace {

// Options that are checked after CLI11 has taken them apart, so that the errors are ours.
struct Texts {
  std::string timeout;
  std::string cpu_time;
  std::string cpus;
  std::string memory;
  std::string pids;
  std::string output_limit;
  std::string disk;
  std::string inodes;
  std::string open_files;
  std::vector<std::string> files;
  std::string min_isolation;
  std::string allow_tier;
  std::string network;
  std::vector<std::string> allow;
};

inline constexpr std::string_view kSeccompProfiles[] = {"default", "gpu"};
inline constexpr std::string_view kAllowedTiers[] = {model::kTierProcess};
inline constexpr std::string_view kNetworks[] = {"none", "gateway"};
inline constexpr std::string_view kIsolationLevels[] = {"process", "container", "kernel"};

inline constexpr const char* kFooter =
    "Exit code: the program's own; 128+N ended by signal N; 120 wall_timeout, 121 cpu_timeout,\n"
    "122 out_of_memory, 123 output_limit, 124 disk_limit, 118 process_limit, 119 denied,\n"
    "117 setup_failed, 130 cancelled; 2 wrong command line, 125 airlock itself failed.\n\n"
    "Examples:\n"
    "  airlock run analyse.py --file jobs.csv --output results -- jobs.csv\n"
    "  airlock run main.cpp --memory 1g --timeout 30s\n"
    "  echo 'print(6*7)' | airlock run --language python -\n";

class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: airlock run [options] PROGRAM [-- args...]\n";
  }
};

base::Status usage_error(std::string message, std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::move(message), std::move(hint));
}

using config::parse_cores;
using config::parse_count;

// Takes one limit from its text into `limits`; checks it alone, so that the error is about its
// flag.
template <typename T, typename Parse>
base::Status take_limit(std::string_view flag, const std::string& text, model::LimitsGiven& limits,
                        std::optional<T> model::LimitsGiven::* field, Parse parse) {
  if (text.empty()) return {};
  const std::string context = std::string(flag) + " \"" + text + "\"";
  AIRLOCK_ASSIGN(limits.*field, parse(text).with_context(context));
  return model::validate(limits.over({})).with_context(context);
}

base::Status take_limits(const Texts& texts, model::LimitsGiven& limits) {
  using Given = model::LimitsGiven;
  const auto duration = base::parse_duration;
  const auto bytes = base::parse_byte_count;
  AIRLOCK_TRY(take_limit("--timeout", texts.timeout, limits, &Given::wall_time, duration));
  AIRLOCK_TRY(take_limit("--cpu-time", texts.cpu_time, limits, &Given::cpu_time, duration));
  AIRLOCK_TRY(take_limit("--cpus", texts.cpus, limits, &Given::cpu_rate_percent, parse_cores));
  AIRLOCK_TRY(take_limit("--memory", texts.memory, limits, &Given::memory, bytes));
  AIRLOCK_TRY(take_limit("--pids", texts.pids, limits, &Given::pids, parse_count));
  AIRLOCK_TRY(take_limit("--output-limit", texts.output_limit, limits, &Given::output, bytes));
  AIRLOCK_TRY(take_limit("--disk", texts.disk, limits, &Given::disk, bytes));
  AIRLOCK_TRY(take_limit("--inodes", texts.inodes, limits, &Given::inodes, parse_count));
  return take_limit("--open-files", texts.open_files, limits, &Given::open_files, parse_count);
}

// "host" or "host:inside"; "inside/" is a folder to put it into. The last ':' separates.
base::Result<FileOption> parse_file(const std::string& text) {
  const auto colon = text.rfind(':');
  FileOption file{.host = text.substr(0, colon), .inside = {}};
  if (colon != std::string::npos) file.inside = text.substr(colon + 1);
  if (file.host.empty()) {
    return base::fail(base::ErrorCode::kInvalidArgument, "--file \"" + text + "\" names no file",
                      "write --file HOST_PATH or --file HOST_PATH:PATH_INSIDE");
  }
  if (file.inside.empty() || file.inside.back() == '/') {
    file.inside += file.host.substr(file.host.rfind('/') + 1);
  }
  AIRLOCK_TRY(
      runner::check_input_path(file.inside)
          .with_context("--file \"" + text + "\": the path inside, \"" + file.inside + "\""));
  return file;
}

base::Status check_env(const std::string& text) {
  const auto equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool well_formed =
      !name.empty() && !is_digit(name[0]) &&
      std::ranges::all_of(name, [&](char c) { return is_letter(c) || is_digit(c); });
  if (equals != std::string::npos && well_formed) return {};
  return usage_error(
      "--env \"" + text + "\" is not NAME=value",
      equals == std::string::npos && well_formed
          ? "nothing is inherited; to pass yours on: --env " + name + "=\"$" + name + "\""
          : "a name has letters, digits and _, and does not start with a digit");
}

base::Status check_choice(std::string_view flag, const std::string& value,
                          std::span<const std::string_view> choices) {
  if (std::ranges::find(choices, value) != choices.end()) return {};
  std::string list;
  for (const std::string_view choice : choices) {
    list += (list.empty() ? "" : ", ") + std::string(choice);
  }
  return usage_error(std::string(flag) + " \"" + value + "\" is not one of: " + list);
}

void add_limit_options(CLI::App& app, Texts& texts) {
  app.add_option("--timeout", texts.timeout, "Wall time limit [10s]")->type_name("TIME");
  app.add_option("--cpu-time", texts.cpu_time,
                 "CPU time limit, user and system of all processes [10s]")
      ->type_name("TIME");
  app.add_option("--cpus", texts.cpus, "Cores' worth of CPU time per second, such as 1.5 [all]")
      ->type_name("N");
  app.add_option("--memory", texts.memory, "Memory limit, files in the sandbox included [512m]")
      ->type_name("SIZE");
  app.add_option("--pids", texts.pids, "Processes and threads at once [128]")->type_name("N");
  app.add_option("--disk", texts.disk, "Bytes of all writable places together [64m]")
      ->type_name("SIZE");
  app.add_option("--inodes", texts.inodes, "Files and folders in them [65536]")->type_name("N");
  app.add_option("--output-limit", texts.output_limit, "Bytes of stdout and of stderr, each [8m]")
      ->type_name("SIZE");
  app.add_option("--open-files", texts.open_files, "Open files of one process [1024]")
      ->type_name("N");
}

void add_options(CLI::App& app, RunOptions& options, Texts& texts) {
  app.add_option("PROGRAM", options.program,
                 "A source file, an executable (ELF or #!), or - for source from stdin")
      ->type_name("");
  app.add_option("--language,-l", options.language,
                 "Language of the source; otherwise its extension says it")
      ->type_name("NAME");
  add_limit_options(app, texts);
  app.add_option("--file,-f", texts.files, "Copy a file to /workspace/INSIDE; repeatable")
      ->type_name("HOST[:INSIDE]")
      ->allow_extra_args(false);
  app.add_option("--output,-o", options.output_directory,
                 "Folder that gets everything the program leaves below /output")
      ->type_name("DIR");
  app.add_option("--collect", options.collect,
                 "Also give back files of /workspace that match; repeatable")
      ->type_name("PATTERN")
      ->allow_extra_args(false);
  app.add_option("--env,-e", options.env, "Set a variable of the program; repeatable")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  app.add_option("--mode", options.mode,
                 "What makes the sandbox: direct (auto), gvisor, docker or docker+gvisor")
      ->type_name("MODE");
  app.add_option("--docker-image", options.docker_image, "The root of a Docker container")
      ->type_name("IMAGE");
  app.add_option("--min-isolation", texts.min_isolation,
                 "Refuse to run with less: process, container or kernel")
      ->type_name("LEVEL");
  app.add_option("--allow", texts.allow,
                 "Let it connect to HOST, .SUFFIX, HOST:PORT, a preset (pypi, npm, github, ...)\n"
                 "or IP:PORT, through a gateway; repeatable")
      ->type_name("HOST")
      ->allow_extra_args(false);
  app.add_option("--network", texts.network, "none, or gateway, which --allow implies")
      ->type_name("MODE");
  app.add_option("--allow-tier", texts.allow_tier,
                 "Run even where no namespaces can be had: process")
      ->type_name("TIER");
  app.add_option("--seccomp", options.seccomp_profile, "System call profile: default or gpu")
      ->type_name("PROFILE");
  app.add_option("--languages", options.languages_file,
                 "A languages file to use for the built-in one")
      ->type_name("FILE");
  app.add_flag("--json", options.json, "Print one JSON result object and nothing else on stdout");
  app.add_flag("--quiet,-q", options.quiet, "Print neither compiler messages nor the outcome");
  app.add_flag("--verbose,-v", options.verbose, "Print usage and isolation at the end");
}

base::Status unexpected_word(const CLI::App& app, const std::string& word) {
  if (!word.starts_with('-')) {
    return usage_error("unexpected argument \"" + word + "\"",
                       "what the program is to get comes after --: airlock run PROGRAM -- " + word);
  }
  const std::string name = word.substr(0, word.find('='));
  std::string hint = nearest_option(app, name);
  if (hint.empty()) hint = "what the program is to get comes after --";
  return usage_error("unknown option \"" + name + "\"", hint);
}

// CLI11 says what is wrong in its own words; they do.
base::Status parse_words(CLI::App& app, std::vector<std::string> words) {
  std::ranges::reverse(words);
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) { return usage_error(error.what()); }
  const std::vector<std::string> remaining = app.remaining();
  if (!remaining.empty()) return unexpected_word(app, remaining.front());
  return {};
}

base::Status check_together(const RunOptions& options) {
  if (options.program.empty()) {
    return usage_error("no PROGRAM was given", "for example: airlock run hello.py");
  }
  if (options.program == "-" && options.language.empty()) {
    return usage_error("source from stdin has no extension that tells its language",
                       "add --language NAME; `airlock languages` lists them");
  }
  if (!options.collect.empty() && options.output_directory.empty() && !options.json) {
    return usage_error("--collect needs a place for the files", "add --output DIR or --json");
  }
  return check_choice("--seccomp", options.seccomp_profile, kSeccompProfiles);
}

// "localhost" is the sandbox's own, for a program and for the variables that it looks at.
base::Status check_is_outside(const std::string& text) {
  constexpr std::string_view kAnyProtocol = "tcp://";
  std::string_view rest = text;
  if (rest.starts_with(kAnyProtocol)) rest.remove_prefix(kAnyProtocol.size());
  const std::string_view host = rest.substr(0, rest.find(':'));
  if (host != "localhost" && !host.ends_with(".localhost")) return {};
  const std::string port(rest.size() > host.size() ? rest.substr(host.size()) : ":PORT");
  return usage_error("--allow \"" + text + "\" would be the sandbox itself",
                     "a service of this machine is --allow 127.0.0.1" + port);
}

// Programs ask no proxy for an address of loopback, unless these variables leave it out.
void send_loopback_to_gateway(RunOptions& options) {
  std::string own = "localhost";
  bool any_opened = false;
  for (const std::string_view address : {"127.0.0.1", "::1"}) {
    const bool opened =
        std::ranges::any_of(options.egress.private_destinations, [&](const std::string& text) {
          const auto destination = egress::parse_destination(text, 0);
          return destination && destination->host == address;
        });
    if (!opened) own += "," + std::string(address);
    any_opened = any_opened || opened;
  }
  if (!any_opened) return;
  for (const std::string_view name : {"NO_PROXY", "no_proxy", "npm_config_noproxy"}) {
    options.env.insert(options.env.begin(), std::string(name) + "=" + own);  // --env wins
  }
}

// Here the user is the operator: an address that is named is opened.
base::Status take_network(const Texts& texts, RunOptions& options) {
  if (!texts.network.empty()) { AIRLOCK_TRY(check_choice("--network", texts.network, kNetworks)); }
  if (texts.network == "none" && !texts.allow.empty()) {
    return usage_error("--allow does nothing with --network none", "leave one of them out");
  }
  if (texts.network == "gateway" && texts.allow.empty()) {
    return usage_error("--network gateway allows nothing by itself", "name hosts with --allow");
  }
  if (texts.allow.empty()) return {};
  options.network = model::NetworkMode::kGateway;
  options.egress.fix = "add --allow with its name";
  options.egress.names.private_destinations = "--allow IP:PORT";
  for (const std::string& text : texts.allow) {
    AIRLOCK_TRY(check_is_outside(text));
    const auto destination = egress::parse_destination(text, 0);
    const bool is_address = destination && destination->is_address;
    (is_address ? options.egress.private_destinations : options.egress.allow).push_back(text);
  }
  AIRLOCK_TRY(egress::Policy::make(options.egress).with_context("--allow"));
  send_loopback_to_gateway(options);
  return {};
}

base::Status take_texts(const Texts& texts, RunOptions& options) {
  AIRLOCK_TRY(take_limits(texts, options.limits));
  for (const std::string& text : texts.files) {
    AIRLOCK_ASSIGN(FileOption file, parse_file(text));
    options.files.push_back(std::move(file));
  }
  for (const std::string& text : options.env) AIRLOCK_TRY(check_env(text));
  AIRLOCK_TRY(take_network(texts, options));
  if (!texts.allow_tier.empty()) {  // early.h has looked at it
    AIRLOCK_TRY(check_choice("--allow-tier", texts.allow_tier, kAllowedTiers));
  }
  AIRLOCK_TRY(check_choice("--mode", options.mode, backend::mode_names()));
  if (!options.docker_image.empty() && !backend::is_image_name(options.docker_image)) {
    return usage_error("--docker-image \"" + options.docker_image + "\" is no name of an image",
                       "such as debian:12");
  }
  if (!texts.min_isolation.empty()) {
    AIRLOCK_TRY(check_choice("--min-isolation", texts.min_isolation, kIsolationLevels));
    options.min_isolation = model::find_isolation_level(texts.min_isolation);
  }
  return check_together(options);
}

bool asks_for_help(const std::vector<std::string>& words) {
  return std::ranges::any_of(
      words, [](const std::string& word) { return word == "--help" || word == "-h"; });
}

}  // namespace

base::Result<std::variant<RunOptions, HelpText>> parse_run_options(std::vector<std::string> words) {
  RunOptions options;
  Texts texts;
  const auto separator = std::ranges::find(words, "--");
  if (separator != words.end()) {
    options.args.assign(separator + 1, words.end());
    words.erase(separator, words.end());
  }
  // The usual case; CLI11 takes a tenth of a short run to learn what it would do with options.
  if (words.size() == 1 && !words[0].empty() && words[0][0] != '-') {
    options.program = std::move(words[0]);
    return std::variant<RunOptions, HelpText>(std::move(options));
  }
  CLI::App app("Runs one program in a sandbox.", "airlock run");
  app.set_help_flag();
  app.allow_extras();
  app.formatter(std::make_shared<HelpFormatter>());
  app.footer(kFooter);
  add_options(app, options, texts);
  if (asks_for_help(words)) return std::variant<RunOptions, HelpText>(HelpText{app.help()});
  AIRLOCK_TRY(parse_words(app, std::move(words)));
  AIRLOCK_TRY(take_texts(texts, options));
  return std::variant<RunOptions, HelpText>(std::move(options));
}

}  // namespace airlock::apps
