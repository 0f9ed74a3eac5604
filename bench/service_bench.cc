// bench-service: runs through RunService and ParkedBackend, as `airlock serve` drives them.
//
//   bench-service --count N [--warmup W] [--clients C] [--slots S] [--parked P] [--pause-us T]
//                 [--settle-ms T] PROGRAM
//
// Each client submits a run of PROGRAM, waits for its answer and, after a pause, submits the next;
// C clients do so at once, each --count times, after --settle-ms, in which sandboxes get ready.
// PROGRAM is put into every run as workspace/noop, its outputs are captured. --parked 0 is the
// plain native backend. A sample is the time from submit()
// to `done`. Prints {"samples_us": [...], "wall_s": s, "failed": n, "hits": n, "misses": n}.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <vector>

#include "backend/native/native_backend.h"
#include "backend/parked_backend.h"
#include "bench/measuring.h"
#include "runner/run_service.h"

namespace airlock::bench {
namespace {

struct Options {
  int count = 0;
  int warmup = 0;
  int clients = 1;
  int slots = 0;
  int parked = 16;
  int pause_us = 0;
  int settle_ms = 0;
  std::string program;
};

std::optional<Options> parse_words(int argc, char** argv) {
  Options options;
  if (argc < 2 ||
      !parse_options({argv + 1, argv + argc - 1}, {{"--count", &options.count},
                                                   {"--warmup", &options.warmup},
                                                   {"--clients", &options.clients},
                                                   {"--slots", &options.slots},
                                                   {"--parked", &options.parked},
                                                   {"--pause-us", &options.pause_us},
                                                   {"--settle-ms", &options.settle_ms}})) {
    return std::nullopt;
  }
  if (options.count < 1 || options.clients < 1) return std::nullopt;
  options.program = argv[argc - 1];
  return options;
}

class Client {
 public:
  void run(runner::RunService& service, const Options& options) {
    samples_.us.reserve(static_cast<std::size_t>(options.count));
    for (int i = -options.warmup; i < options.count; ++i) {
      if (options.pause_us > 0) ::usleep(static_cast<useconds_t>(options.pause_us));
      const auto took = run_once(service, options.program);
      if (i >= 0) samples_.add(took);
    }
  }
  const Samples& samples() const { return samples_; }

 private:
  Clock::duration run_once(runner::RunService& service, const std::string& program) {
    runner::Submission submission;
    model::RunSpec& spec = submission.request.spec;
    spec.run = {.argv = {"/workspace/noop"}, .limits = {}};
    spec.env = {"PATH=/usr/bin"};
    submission.request.files.push_back(
        {.path = "workspace/noop",
         .content = base::UniqueFd(::open(program.c_str(), O_RDONLY | O_CLOEXEC)),
         .executable = true});
    std::binary_semaphore answered{0};
    Clock::time_point end;
    submission.done = [&](base::Result<model::RunResult> result) {
      end = Clock::now();
      note(result);
      answered.release();
    };
    const auto start = Clock::now();
    if (auto ticket = service.submit(std::move(submission)); !ticket) {
      note(base::fail(std::move(ticket).error()));
      return {};
    }
    answered.acquire();
    return end - start;
  }
  void note(const base::Result<model::RunResult>& result) {
    if (result && result->outcome.kind == model::OutcomeKind::kExited &&
        result->outcome.exit_code == 0) {
      return;
    }
    samples_.fail(!result ? result.error().to_string()
                          : std::string(model::outcome_name(result->outcome.kind)) + ": " +
                                result->outcome.detail);
  }

  Samples samples_;
};

int measure(const Options& options) {
  std::signal(SIGPIPE, SIG_IGN);
  const base::SystemClock clock;
  auto native = backend::native::start_backend({});
  if (!native.has_value()) {
    std::fprintf(stderr, "bench-service: %s\n", native.error().to_string().c_str());
    return 1;
  }
  const model::Limits usual;
  std::unique_ptr<backend::Backend> backend = std::move(*native);
  backend::ParkedBackend* parked = nullptr;
  if (options.parked > 0) {
    const auto count = static_cast<std::uint32_t>(options.parked);
    auto decorated = std::make_unique<backend::ParkedBackend>(
        std::move(backend),
        backend::ParkedOptions{
            .workspace = {.disk = usual.disk, .inodes = usual.inodes, .memory = {}},
            .parked_min = count,
            .parked_max = 2 * count},
        clock);
    parked = decorated.get();
    backend = std::move(decorated);
  }
  std::vector<Client> clients(static_cast<std::size_t>(options.clients));
  double wall_s = 0;
  {
    runner::RunService service(*backend, {.slots = static_cast<std::uint32_t>(options.slots)},
                               clock);
    ::usleep(static_cast<useconds_t>(options.settle_ms) * 1000);
    wall_s = run_at_once(clients, [&](Client& client) { client.run(service, options); });
  }
  const auto stats = parked != nullptr ? parked->stats() : backend::ParkedStats{};
  print_samples("bench-service", clients, wall_s,
                ", \"hits\": " + std::to_string(stats.hits) +
                    ", \"misses\": " + std::to_string(stats.misses));
  return 0;
}

}  // namespace
}  // namespace airlock::bench

int main(int argc, char** argv) {
  const auto options = airlock::bench::parse_words(argc, argv);
  if (!options.has_value()) {
    std::fputs(
        "usage: bench-service --count N [--warmup W] [--clients C] [--slots S] [--parked P]\n"
        "                     [--pause-us T] [--settle-ms T] PROGRAM\n",
        stderr);
    return 2;
  }
  return airlock::bench::measure(*options);
}
