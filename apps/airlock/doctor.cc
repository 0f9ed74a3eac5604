#include "apps/airlock/doctor.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "apps/airlock/companions.h"
#include "apps/airlock/parse_words.h"
#include "base/child_process.h"
#include "host/checks.h"
#include "host/live_probe.h"
#include "host/report_text.h"
#include "host/tier_check.h"
#include "http/doctor_json.h"
#include "language/language_table.h"
#include "language/toolchain_search.h"
#include "model/isolation.h"

namespace airlock::apps {
namespace {

struct DoctorOptions {
  bool json = false;
  std::string state;
  std::string allow_tier;
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string default_state_dir() {
  if (geteuid() == 0) return "/var/lib/airlock";
  if (const std::string state = environment("XDG_STATE_HOME"); state.starts_with('/')) {
    return state + "/airlock";
  }
  const std::string home = environment("HOME");
  return (home.starts_with('/') ? home : "/tmp") + "/.local/state/airlock";
}

host::TextOptions text_options() {
  host::TextOptions options;
  if (isatty(STDOUT_FILENO) != 1) return options;
  if (environment("NO_COLOR").empty()) options.color = host::TextColor::kAnsi;
  winsize window{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0) {
    options.columns = window.ws_col;
  }
  return options;
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += separator;
    text += word;
  }
  return text;
}

// Only looked for: versions, which `airlock languages` shows, take longer than all other checks.
host::Finding check_languages() {
  const auto table = language::LanguageTable::builtin();
  if (!table) {
    return host::fail_finding("languages", "toolchains", table.error().to_string(),
                              "the table of languages in this program is broken",
                              "install Airlock again");
  }
  const language::ToolSearchOptions search{.caller_path = environment("PATH")};
  std::vector<std::string> ready;
  std::vector<std::string> absent;
  std::vector<std::string> packages;
  for (const language::Language& language : table->languages()) {
    const auto toolchain = language::find_toolchain(language, search);
    (toolchain ? ready : absent).push_back(language.name);
    if (toolchain) continue;
    for (const language::MissingTool& missing : toolchain.error().missing) {
      const std::string& package = missing.tool.package;
      if (std::ranges::find(packages, package) == packages.end()) packages.push_back(package);
    }
  }
  if (absent.empty()) return host::ok_finding("languages", "toolchains", joined(ready, ", "));
  const std::string sudo = geteuid() == 0 ? "" : "sudo ";
  return host::warn_finding(
      "languages", "toolchains",
      std::to_string(ready.size()) + " of " + std::to_string(table->languages().size()) +
          " ready; not installed: " + joined(absent, ", "),
      "programs in these languages cannot be run; all others can",
      packages.empty() ? "airlock languages (says what is wrong with each)"
                       : sudo + "apt-get install -y " + joined(packages, " "));
}

// airlock-nest tries it; asked only where the full tier cannot be had.
std::string find_lower_tier(const std::string& programs) {
  const auto said =
      base::run_command({programs + "/airlock-nest", "--find-tier"}, base::CommandLimits{});
  if (!said || said->wait_status != 0) return {};
  return said->text.substr(0, said->text.find('\n'));
}

void add_tier(host::Report& report, const DoctorOptions& options, const std::string& programs) {
  const bool allowed = options.allow_tier == model::kTierProcess;
  const std::string lower = report.runs_will_work() ? "" : find_lower_tier(programs);
  host::apply_tier(report, lower,
                   allowed ? host::ProcessTier::kAllowed : host::ProcessTier::kRefused);
}

int run_doctor(const DoctorOptions& options) {
  host::Question question;
  question.programs = companions_folder().string();
  question.state = options.state.empty() ? default_state_dir() : options.state;
  host::LiveProbe probe;
  host::Report report = host::examine(probe, question);
  add_tier(report, options, question.programs);
  report.findings.push_back(check_languages());
  const std::string text =
      options.json ? http::doctor_json(report) + "\n" : host::report_text(report, text_options());
  const bool printed =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return printed && report.runs_will_work() ? 0 : 1;
}

}  // namespace

int doctor_verb(const std::vector<std::string>& words) {
  DoctorOptions options;
  CLI::App app("Checks whether this host can run programs, and says how to fix what is wrong.",
               "airlock doctor");
  app.add_flag("--json", options.json, "Print the report as one JSON object");
  app.add_option("--state-dir", options.state, "Where durable state would live; checked for room");
  app.add_option("--allow-tier", options.allow_tier, "As `airlock serve` will be told: process")
      ->type_name("TIER")
      ->check(CLI::IsMember({std::string(model::kTierProcess)}))
      ->envname("AIRLOCK_ALLOW_TIER");
  if (const auto code = parse_words(app, "doctor", words)) return *code;
  return run_doctor(options);
}

}  // namespace airlock::apps
