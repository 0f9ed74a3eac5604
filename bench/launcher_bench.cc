// bench-launcher: create + exec + destroy through the launcher's protocol, as a service does it.
//
//   bench-launcher --count N [--warmup W] [--workers C] PROGRAM
//
// One launcher serves all workers, as it serves a daemon. Each iteration opens a workspace, makes a
// sandbox on it, puts PROGRAM into it, runs it, waits for the report and destroys sandbox and
// workspace; the clock stops when the keeper has told that nothing is left. Streams are /dev/null,
// as the harness gives them to the peers. Prints {"samples_us": [...], "wall_s": s, "failed": n}.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "backend/native/native_backend.h"
#include "bench/measuring.h"

namespace airlock::bench {
namespace {

struct Options {
  int count = 0;
  int warmup = 0;
  int workers = 1;
  std::string program;
};

std::optional<Options> parse_words(int argc, char** argv) {
  Options options;
  if (argc < 2 || !parse_options({argv + 1, argv + argc - 1}, {{"--count", &options.count},
                                                               {"--warmup", &options.warmup},
                                                               {"--workers", &options.workers}})) {
    return std::nullopt;
  }
  if (options.count < 1 || options.workers < 1) return std::nullopt;
  options.program = argv[argc - 1];
  return options;
}

base::UniqueFd open_null() { return base::UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)); }

// From nothing to nothing. A guest that did not exit with 0 is an error here.
base::Status run_once(backend::Backend& backend, const std::string& program) {
  const model::Limits limits;
  AIRLOCK_ASSIGN(
      const auto workspace,
      backend.open_workspace({.disk = limits.disk, .inodes = limits.inodes, .memory = {}}));
  AIRLOCK_ASSIGN(const auto sandbox, workspace->create_sandbox({}));
  backend::InputFile file{.path = "workspace/noop",
                          .content = base::UniqueFd(::open(program.c_str(), O_RDONLY | O_CLOEXEC)),
                          .executable = true};
  if (!file.content.valid()) return base::fail_errno("open " + program);
  AIRLOCK_TRY(workspace->put_file(std::move(file)));
  AIRLOCK_ASSIGN(
      const auto process,
      sandbox->exec({.argv = {"/workspace/noop"}, .env = {"PATH=/usr/bin"}, .limits = limits},
                    {.in = open_null(), .out = open_null(), .err = open_null()}));
  AIRLOCK_ASSIGN(const auto report, process->wait());
  const model::Outcome outcome = model::classify(report.facts, limits);
  if (outcome.kind != model::OutcomeKind::kExited || outcome.exit_code != 0) {
    return base::fail(base::ErrorCode::kUnavailable,
                      std::string(model::outcome_name(outcome.kind)) + ": " + outcome.detail);
  }
  return {};
}

class Worker {
 public:
  void run(backend::Backend& backend, const Options& options) {
    samples_.us.reserve(static_cast<std::size_t>(options.count));
    for (int i = -options.warmup; i < options.count; ++i) {
      const auto start = Clock::now();
      const base::Status status = run_once(backend, options.program);
      if (i < 0) continue;
      samples_.add(Clock::now() - start);
      if (!status.has_value()) samples_.fail(status.error().to_string());
    }
  }

  const Samples& samples() const { return samples_; }

 private:
  Samples samples_;
};

int measure(const Options& options) {
  auto backend = backend::native::start_backend({});
  if (!backend.has_value()) {
    std::fprintf(stderr, "bench-launcher: %s\n", backend.error().to_string().c_str());
    return 1;
  }
  std::vector<Worker> workers(static_cast<std::size_t>(options.workers));
  const double wall_s =
      run_at_once(workers, [&](Worker& worker) { worker.run(**backend, options); });
  print_samples("bench-launcher", workers, wall_s);
  return 0;
}

}  // namespace
}  // namespace airlock::bench

int main(int argc, char** argv) {
  const auto options = airlock::bench::parse_words(argc, argv);
  if (!options.has_value()) {
    std::fputs("usage: bench-launcher --count N [--warmup W] [--workers C] PROGRAM\n", stderr);
    return 2;
  }
  return airlock::bench::measure(*options);
}
