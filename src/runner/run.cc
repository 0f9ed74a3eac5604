#include "runner/run.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/crash_point.h"
#include "runner/exec_loop.h"
#include "runner/guest_environment.h"

namespace airlock::runner {
namespace {

// Gives bytes to a second sink while keeping them; what that one cannot take now, neither takes.
class TeeSink final : public OutputSink {
 public:
  TeeSink(CaptureSink& kept, OutputSink& shown) : kept_(kept), shown_(shown) {}

  base::Result<std::size_t> write_some(Stream stream, std::string_view bytes) override {
    AIRLOCK_ASSIGN(const std::size_t taken, shown_.write_some(stream, bytes));
    return kept_.write_some(stream, bytes.substr(0, taken));
  }
  int writable_fd(Stream stream) const override { return shown_.writable_fd(stream); }

 private:
  CaptureSink& kept_;
  OutputSink& shown_;
};

base::Result<std::string> read_content(const backend::CollectedFile& file) {
  std::string content(file.size.count(), '\0');
  std::size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t count = ::pread(file.content.get(), content.data() + filled,
                                  content.size() - filled, static_cast<off_t>(filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("read " + file.path);
    if (count == 0) break;  // it shrank; nothing of the guest runs any more, so it will not grow
    filled += static_cast<std::size_t>(count);
  }
  content.resize(filled);
  return content;
}

class Run {
 public:
  Run(backend::Backend& backend, RunRequest request, const RunIo& io)
      : backend_(backend), request_(std::move(request)), io_(io) {}

  base::Result<model::RunResult> to_end();

 private:
  model::RunTimings::Duration lap();
  void split_lap(const backend::ProcessReport& report);
  base::Status prepare();
  base::Status open_gateway();
  void close_gateway();
  struct ExecTraits {
    bool terminal = false;
    bool last = false;
  };
  base::Result<ExecReport> exec(const model::PhaseSpec& phase, const ExecIo& io, ExecTraits traits);
  base::Result<bool> compile();
  base::Status execute();
  bool collects() const {
    return request_.spec.collect_output_directory || !request_.spec.collect.empty();
  }
  void collect();
  void collect_from(const char* directory, std::vector<std::string> patterns);
  void keep(const std::string& place, backend::CollectedFile file);
  void fail_as_compile();

  backend::Backend& backend_;
  RunRequest request_;
  const RunIo& io_;
  std::unique_ptr<backend::Workspace> workspace_;
  std::unique_ptr<backend::Sandbox> sandbox_;  // destroyed before its workspace
  egress::Session gateway_;
  std::optional<base::Error> gateway_failure_;
  model::RunResult result_;
  std::chrono::steady_clock::time_point lap_began_ = io_.clock->steady_now();
};

base::Result<model::RunResult> Run::to_end() {
  model::RunTimings& timings = result_.timings;
  AIRLOCK_TRY(prepare());
  timings.sandbox = lap();
  AIRLOCK_ASSIGN(const bool compiled, compile());
  if (request_.spec.compile) timings.compile = lap();
  if (compiled) {
    AIRLOCK_TRY(execute());
    if (collects()) {
      collect();
      timings.collect = lap();
    }
  }
  close_gateway();
  sandbox_.reset();
  workspace_.reset();
  timings.close = lap();
  // A sandbox without its listener runs nothing and says why; anything else is no verdict.
  if (gateway_failure_ && result_.outcome.kind != model::OutcomeKind::kSetupFailed) {
    return base::fail(std::move(*gateway_failure_));
  }
  return std::move(result_);
}

// Since the one before.
model::RunTimings::Duration Run::lap() {
  const auto before = std::exchange(lap_began_, io_.clock->steady_now());
  return lap_began_ - before;
}

// One lap, of which the backend has seen where the program began and how long it took.
void Run::split_lap(const backend::ProcessReport& report) {
  using Duration = model::RunTimings::Duration;
  const auto began = lap_began_;
  const Duration whole = lap();
  const Duration until_start = report.started ? *report.started - began : whole;
  model::RunTimings& timings = result_.timings;
  timings.start = std::clamp(until_start, Duration::zero(), whole);
  timings.program = std::min<Duration>(report.usage.wall, whole - timings.start);
  timings.report = whole - timings.start - timings.program;
}

base::Status Run::prepare() {
  const model::RunSpec& spec = request_.spec;
  // No memory limit over both phases: each has its own, and they never run at the same time.
  AIRLOCK_ASSIGN(workspace_, backend_.open_workspace({.disk = spec.run.limits.disk,
                                                      .inodes = spec.run.limits.inodes,
                                                      .memory = {},
                                                      .least = spec.min_isolation.value_or(
                                                          model::IsolationLevel::kProcess)}));
  AIRLOCK_ASSIGN(sandbox_, workspace_->create_sandbox({.seccomp_profile = spec.seccomp_profile,
                                                       .network = spec.network,
                                                       .image = spec.image}));
  base::crash_point("sandbox_taken");
  for (backend::InputFile& file : request_.files) {
    AIRLOCK_TRY(workspace_->put_file(std::move(file)));
  }
  request_.files.clear();
  return spec.network == model::NetworkMode::kGateway ? open_gateway() : base::Status();
}

base::Status Run::open_gateway() {
  auto listener = sandbox_->take_listener();
  if (!listener) {
    gateway_failure_ = std::move(listener).error();
    return {};
  }
  AIRLOCK_ASSIGN(gateway_, io_.gateway->serve(std::move(*listener), std::move(request_.egress),
                                              request_.egress_budget));
  add_missing_variables(request_.spec.env, gateway_environment());
  return {};
}

// Whatever the program left open towards others ends here, before the sandbox does.
void Run::close_gateway() {
  gateway_.close();
  result_.egress = gateway_.record();
  for (model::Denial& denial : gateway_.denials()) result_.denied.push_back(std::move(denial));
}

base::Result<ExecReport> Run::exec(const model::PhaseSpec& phase, const ExecIo& io,
                                   ExecTraits traits) {
  return exec_to_end(*sandbox_,
                     {.argv = phase.argv,
                      .env = request_.spec.env,
                      .cwd = request_.spec.cwd,
                      .limits = phase.limits,
                      .last = traits.last,
                      .terminal = traits.terminal},
                     io);
}

void fill_result(model::RunResult& result, ExecReport report, const model::Limits& limits) {
  result.outcome = model::classify(report.process.facts, limits);
  if (report.reader_gone) result.outcome.detail = "nobody reads its output any more";
  result.stdout_truncated = report.stdout_truncated;
  result.stderr_truncated = report.stderr_truncated;
  result.usage = report.process.usage;
  result.isolation = std::move(report.process.isolation);
  result.denied = std::move(report.process.facts.denials);
}

// Whether the program may be run.
base::Result<bool> Run::compile() {
  if (!request_.spec.compile) return true;
  CaptureSink captured;
  std::optional<TeeSink> tee;
  if (io_.compile_output != nullptr) tee.emplace(captured, *io_.compile_output);
  OutputSink& sink = tee ? static_cast<OutputSink&>(*tee) : captured;
  AIRLOCK_ASSIGN(
      ExecReport report,
      exec(*request_.spec.compile,
           {.stdin_fd = -1, .sink = &sink, .control = io_.control, .clock = io_.clock}, {}));
  result_.compile = std::make_unique<model::RunResult>();
  fill_result(*result_.compile, std::move(report), request_.spec.compile->limits);
  result_.compile->stdout_bytes = std::move(captured.stdout_bytes);
  result_.compile->stderr_bytes = std::move(captured.stderr_bytes);
  const model::Outcome& outcome = result_.compile->outcome;
  if (outcome.kind == model::OutcomeKind::kExited && outcome.exit_code == 0) return true;
  fail_as_compile();
  return false;
}

void Run::fail_as_compile() {
  const model::RunResult& compile = *result_.compile;
  result_.outcome = compile.outcome;
  result_.outcome.detail =
      "compilation failed: " + (compile.outcome.detail.empty()
                                    ? "the compiler exited with code " +
                                          std::to_string(compile.outcome.exit_code.value_or(0))
                                    : compile.outcome.detail);
  result_.usage = compile.usage;
  result_.isolation = compile.isolation;
  result_.denied = compile.denied;
}

base::Status Run::execute() {
  CaptureSink captured;
  const ExecIo io{.stdin_fd = request_.stdin_fd,
                  .sink = io_.output == nullptr ? &captured : io_.output,
                  .control = io_.control,
                  .clock = io_.clock};
  AIRLOCK_ASSIGN(ExecReport report,
                 exec(request_.spec.run, io, {.terminal = request_.terminal, .last = !collects()}));
  split_lap(report.process);
  fill_result(result_, std::move(report), request_.spec.run.limits);
  result_.stdout_bytes = std::move(captured.stdout_bytes);
  result_.stderr_bytes = std::move(captured.stderr_bytes);
  return {};
}

// What a program left is worth having after a timeout, too; not when it never ran, nor when the
// user wants to be gone.
void Run::collect() {
  const model::OutcomeKind kind = result_.outcome.kind;
  if (kind == model::OutcomeKind::kSetupFailed || kind == model::OutcomeKind::kCancelled) return;
  if (request_.spec.collect_output_directory) collect_from("output", {"**"});
  if (!request_.spec.collect.empty()) {
    collect_from("workspace", std::move(request_.spec.collect));
  }
}

void Run::collect_from(const char* directory, std::vector<std::string> patterns) {
  backend::CollectSpec spec{.patterns = std::move(patterns), .directory = directory};
  if (io_.files == nullptr) spec.file_bytes_max = spec.total_bytes_max = kCapturedFilesMax;
  auto collected = workspace_->collect(std::move(spec));
  const std::string place = std::string("/") + directory;
  if (!collected) {
    // The verdict on the program stands, whatever became of its files.
    result_.refused_files.push_back({place, collected.error().to_string()});
    return;
  }
  for (backend::CollectedFile& file : collected->files) keep(place, std::move(file));
  for (model::RefusedOutput& refused : collected->refused) {
    refused.path = place + "/" + refused.path;
    result_.refused_files.push_back(std::move(refused));
  }
  if (collected->truncated) {
    result_.refused_files.push_back({place, "more files or bytes than can be given back"});
  }
}

void Run::keep(const std::string& place, backend::CollectedFile file) {
  if (io_.files != nullptr) {
    if (base::Status status = io_.files->take(file); !status) {
      result_.refused_files.push_back({place + "/" + file.path, status.error().to_string()});
    }
    return;
  }
  auto content = read_content(file);
  if (!content) {
    result_.refused_files.push_back({place + "/" + file.path, content.error().to_string()});
    return;
  }
  result_.files.push_back({std::move(file.path), std::move(*content)});
}

// What the backend can never give is refused before anything is started.
base::Status check_isolation(backend::Backend& backend, const model::RunSpec& spec) {
  if (!spec.min_isolation || *spec.min_isolation == model::IsolationLevel::kProcess) return {};
  const model::IsolationLevel given = backend.level();
  if (*spec.min_isolation <= given) return {};
  if (given == model::IsolationLevel::kProcess) {
    return base::fail(base::ErrorCode::kUnavailable,
                      "isolation level \"" +
                          std::string(model::isolation_level_name(*spec.min_isolation)) +
                          "\" was asked for, but this host lets nobody make namespaces and gives "
                          "\"process\" only",
                      "airlock doctor names what is in the way");
  }
  return base::fail(
      base::ErrorCode::kUnavailable,
      "isolation level \"" + std::string(model::isolation_level_name(*spec.min_isolation)) +
          "\" was asked for, but the backend gives \"container\" at most",
      "ask for \"container\", or let execution.mode name one with a kernel of its own: gvisor");
}

}  // namespace

base::Result<model::RunResult> run(backend::Backend& backend, RunRequest request, const RunIo& io) {
  AIRLOCK_CHECK(io.clock != nullptr);
  if (request.spec.network == model::NetworkMode::kGateway && io.gateway == nullptr) {
    return base::fail(base::ErrorCode::kUnavailable,
                      "network \"gateway\": there is no gateway here");
  }
  AIRLOCK_TRY(check_isolation(backend, request.spec));
  return Run(backend, std::move(request), io).to_end();
}

}  // namespace airlock::runner
