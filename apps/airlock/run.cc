#include "apps/airlock/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "apps/airlock/companions.h"
#include "apps/airlock/early.h"
#include "apps/airlock/exit_codes.h"
#include "apps/airlock/loader_words.h"
#include "apps/airlock/output_directory.h"
#include "apps/airlock/print.h"
#include "apps/airlock/privilege.h"
#include "apps/airlock/run_inputs.h"
#include "apps/airlock/run_options.h"
#include "apps/airlock/stream_sink.h"
#include "apps/airlock/terminal.h"
#include "backend/mode.h"
#include "backend/native/native_backend.h"
#include "base/clock.h"
#include "egress/gateway.h"
#include "http/result_json.h"
#include "runner/run.h"

namespace airlock::apps {
namespace {

using BackendResult = base::Result<std::unique_ptr<backend::Backend>>;

// What the user named on the command line, opened; all of it before privileges are dropped.
struct Prepared {
  RunInputs inputs;
  std::optional<OutputDirectory> output_directory;
};

// What was named on the command line cannot be used, unless the host lacks something.
int exit_code_of_preparing(const base::Error& error) {
  return error.code == base::ErrorCode::kUnavailable ? kExitFailed : kExitUsage;
}

int exit_code_of_running(const base::Error& error) {
  return error.code == base::ErrorCode::kInvalidArgument ? kExitUsage : kExitFailed;
}

bool has_terminal(const RunOptions& options, const RunInputs& inputs) {
  return !options.json && !inputs.stdin_is_used_up && ::isatty(STDIN_FILENO) == 1 &&
         ::isatty(STDOUT_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
}

// The kind of the user's terminal is the one thing of our environment that a program on it needs.
void add_terminal_type(std::vector<std::string>& env) {
  const char* const type = ::getenv("TERM");
  const auto is_set = [](const std::string& entry) { return entry.starts_with("TERM="); };
  if (type == nullptr || std::ranges::any_of(env, is_set)) return;
  env.push_back(std::string("TERM=") + type);
}

base::Result<Prepared> prepare(const RunOptions& options) {
  Prepared prepared;
  AIRLOCK_ASSIGN(prepared.inputs, open_run_inputs(options));
  if (!options.output_directory.empty()) {
    AIRLOCK_ASSIGN(auto directory, OutputDirectory::open(options.output_directory));
    prepared.output_directory.emplace(std::move(directory));
  }
  return prepared;
}

base::Status print_json(const model::RunResult& result) {
  std::string text = http::result_json(result);
  text += '\n';
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (count < 0) return base::fail_errno("print the result");
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

void report(const RunOptions& options, const model::RunResult& result,
            const model::Limits& limits) {
  if (!options.quiet && !options.json) print_outcome(result);
  if (options.verbose) print_summary(result, limits);
}

// Of a library that was not found the loader says its own words, and the program nothing.
void explain_end(model::RunResult& result, std::string_view complaints) {
  model::Outcome& outcome = result.outcome;
  if (outcome.kind != model::OutcomeKind::kExited || !outcome.detail.empty()) return;
  if (outcome.exit_code == kExitOfLoader) outcome.detail = explain_loader(complaints);
}

// The run itself, with the streams and the terminal of the user around it.
base::Result<model::RunResult> run_prepared(backend::Backend& backend, const RunOptions& options,
                                            Prepared& prepared) {
  const bool terminal = has_terminal(options, prepared.inputs);
  AIRLOCK_ASSIGN(SignalControl control, SignalControl::open(terminal ? STDIN_FILENO : -1));
  StreamSink output(STDOUT_FILENO, STDERR_FILENO,
                    terminal ? TerminalUse::kInteractive : TerminalUse::kPlain);
  StreamSink compile_output(STDERR_FILENO, STDERR_FILENO, TerminalUse::kPlain);
  const base::SystemClock clock;
  if (terminal) add_terminal_type(prepared.inputs.spec.env);
  runner::RunRequest request{.spec = std::move(prepared.inputs.spec),
                             .files = std::move(prepared.inputs.files),
                             .stdin_fd = prepared.inputs.stdin_is_used_up ? -1 : STDIN_FILENO,
                             .terminal = terminal,
                             .egress = {},
                             .egress_budget = {}};
  // Its thread, where there is one, ends with us.
  std::optional<egress::Gateway> gateway;
  if (options.network == model::NetworkMode::kGateway) {
    AIRLOCK_ASSIGN(request.egress, egress::Policy::make(options.egress));
    gateway.emplace(egress::GatewayOptions{}, clock);
  }
  const bool shows_compiler = !options.json && !options.quiet;
  const runner::RunIo io{.output = options.json ? nullptr : &output,
                         .compile_output = shows_compiler ? &compile_output : nullptr,
                         .files = prepared.output_directory ? &*prepared.output_directory : nullptr,
                         .control = &control,
                         .clock = &clock,
                         .gateway = gateway ? &*gateway : nullptr};
  auto result = runner::run(backend, std::move(request), io);
  compile_output.finish();
  output.finish();
  const auto complaints = terminal ? runner::Stream::kStdout : runner::Stream::kStderr;
  if (result) explain_end(*result, options.json ? result->stderr_bytes : output.head(complaints));
  return result;
}

int fail_with(const base::Error& error, int exit_code) {
  print_error(error);
  return exit_code;
}

// What the launcher did not find is the most likely reason why it is gone.
int fail_backend(base::Error error, int exit_code) {
  const std::string missing = missing_companion(companions_folder(), "airlock-init");
  if (!missing.empty()) error.hint = missing;
  return fail_with(error, exit_code);
}

int run_with(BackendResult backend, const RunOptions& options) {
  auto prepared = prepare(options);
  if (!prepared) return fail_with(prepared.error(), exit_code_of_preparing(prepared.error()));
  if (!backend) return fail_backend(backend.error(), kExitFailed);
  if (auto dropped = drop_capabilities(); !dropped) return fail_with(dropped.error(), kExitFailed);
  if ((*backend)->level() == model::IsolationLevel::kProcess) hide_from_own_user();
  if (prepared->output_directory) {
    const auto writable = prepared->output_directory->check_writable();
    if (!writable) return fail_with(writable.error(), kExitUsage);
  }
  const model::Limits limits = prepared->inputs.spec.run.limits;
  auto result = run_prepared(**backend, options, *prepared);
  if (!result) return fail_backend(result.error(), exit_code_of_running(result.error()));
  if (options.json) {
    if (auto printed = print_json(*result); !printed)
      return fail_with(printed.error(), kExitFailed);
  }
  report(options, *result, limits);
  return exit_code_of(result->outcome);
}

// What starts the launcher of another backend; nothing falls back: who names one wants that one.
std::optional<backend::native::Options> broker_of(const RunOptions& options) {
  if (options.mode == backend::kAuto || options.mode == backend::kDirect) return std::nullopt;
  const auto environment = [](const char* name, const char* fallback) {
    const char* const value = std::getenv(name);
    return std::string(value != nullptr && *value != '\0' ? value : fallback);
  };
  const std::string image = options.docker_image.empty()
                                ? environment("AIRLOCK_EXECUTION_DOCKER_IMAGE", "airlock-base")
                                : options.docker_image;
  const std::string socket =
      environment("AIRLOCK_EXECUTION_DOCKER_SOCKET",
                  environment("DOCKER_HOST", "unix:///var/run/docker.sock").c_str());
  return backend::native::Options{
      .launcher_path = (companions_folder() / "airlock-broker").string(),
      .launcher_words = {"--backend", options.mode, "--docker-socket", socket, "--docker-image",
                         image, "--gvisor-platform",
                         environment("AIRLOCK_SECURITY_GVISOR_PLATFORM", "ptrace")},
      .single = true};
}

// Every collected output is a descriptor until it is copied.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int run_verb(const std::vector<std::string>& words) {
  BackendResult backend = backend::native::start_backend({.forked = early_launcher,
                                                          .launcher_path = {},
                                                          .state_directory = {},
                                                          .single = true,
                                                          .allow_process = early_allows_process});
  raise_descriptor_limit();
  // A closed pipe is an error of write(2), which is dealt with where it happens.
  ::signal(SIGPIPE, SIG_IGN);
  auto parsed = parse_run_options(words);
  if (!parsed) {
    print_error(parsed.error());
    return kExitUsage;
  }
  if (const auto* help = std::get_if<HelpText>(&*parsed)) {
    (void)::fputs(help->text.c_str(), stdout);
    return 0;
  }
  const auto& options = std::get<RunOptions>(*parsed);
  if (const auto broker = broker_of(options)) {
    backend = {};  // the sandbox that was begun is not the one that is wanted
    backend = backend::native::start_backend(*broker);
  }
  return run_with(std::move(backend), options);
}

}  // namespace airlock::apps
