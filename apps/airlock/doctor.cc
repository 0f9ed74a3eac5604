#include "apps/airlock/doctor.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include <filesystem>

#include "host/checks.h"
#include "host/live_probe.h"
#include "host/report_text.h"
#include "http/doctor_json.h"

namespace airlock::apps {

namespace {

struct DoctorOptions {
  bool json = false;
  std::string state;
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

std::string programs_folder() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "/usr/bin" : self.parent_path().string();
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

int run_doctor(const DoctorOptions& options) {
  host::Question question;
  question.programs = programs_folder();
  question.state = options.state.empty() ? default_state_dir() : options.state;
  host::LiveProbe probe;
  const host::Report report = host::examine(probe, question);
  const std::string text =
      options.json ? http::doctor_json(report) + "\n" : host::report_text(report, text_options());
  const bool printed =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return printed && report.runs_will_work() ? 0 : 1;
}

}  // namespace

void add_doctor_verb(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<DoctorOptions>();
  CLI::App* verb =
      app.add_subcommand("doctor", "Check whether this host can run programs, and how to fix it");
  verb->add_flag("--json", options->json, "Print the report as one JSON object");
  verb->add_option("--state-dir", options->state,
                   "Where durable state would live; checked for room");
  verb->callback([options, &exit_code] { exit_code = run_doctor(*options); });
}

}  // namespace airlock::apps
