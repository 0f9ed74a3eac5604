// bench-service: runs through RunService and ParkedBackend, as `airlock serve` drives them.
//
//   bench-service --count N [--warmup W] [--clients C] [--slots S] [--parked P] [--pause-us T]
//                 PROGRAM
//
// Each client submits a run of PROGRAM, waits for its answer and, after a pause, submits the next;
// C clients do so at once, each --count times. PROGRAM is put into every run as workspace/noop, its
// outputs are captured. --parked 0 is the plain native backend. A sample is the time from submit()
// to `done`. Prints {"samples_us": [...], "wall_s": s, "failed": n, "hits": n, "misses": n}.
#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backend/native/native_backend.h"
#include "backend/parked_backend.h"
#include "runner/run_service.h"

namespace airlock::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  int count = 0;
  int warmup = 0;
  int clients = 1;
  int slots = 0;
  int parked = 16;
  int pause_us = 0;
  std::string program;
};

std::optional<Options> parse_options(int argc, char** argv) {
  Options options;
  const std::pair<std::string_view, int*> known[] = {
      {"--count", &options.count},     {"--warmup", &options.warmup},
      {"--clients", &options.clients}, {"--slots", &options.slots},
      {"--parked", &options.parked},   {"--pause-us", &options.pause_us}};
  for (int at = 1; at + 1 < argc; at += 2) {
    const std::string_view text = argv[at + 1];
    int value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
    int* place = nullptr;
    for (const auto& [name, number] : known) {
      if (name == argv[at]) place = number;
    }
    if (place == nullptr) return std::nullopt;
    *place = value;
  }
  if (argc % 2 != 0 || options.count < 1 || options.clients < 1) return std::nullopt;
  options.program = argv[argc - 1];
  return options;
}

class Client {
 public:
  void run(runner::RunService& service, const Options& options) {
    samples_.reserve(static_cast<std::size_t>(options.count));
    for (int i = -options.warmup; i < options.count; ++i) {
      if (options.pause_us > 0) ::usleep(static_cast<useconds_t>(options.pause_us));
      const double sample = run_once(service, options.program);
      if (i >= 0) samples_.push_back(sample);
    }
  }
  const std::vector<double>& samples() const { return samples_; }
  int failed() const { return failed_; }
  const std::string& error() const { return error_; }

 private:
  double run_once(runner::RunService& service, const std::string& program) {
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
      return 0;
    }
    answered.acquire();
    return std::chrono::duration<double, std::micro>(end - start).count();
  }
  void note(const base::Result<model::RunResult>& result) {
    if (result && result->outcome.kind == model::OutcomeKind::kExited &&
        result->outcome.exit_code == 0) {
      return;
    }
    ++failed_;
    error_ = !result ? result.error().to_string()
                     : std::string(model::outcome_name(result->outcome.kind)) + ": " +
                           result->outcome.detail;
  }

  std::vector<double> samples_;
  int failed_ = 0;
  std::string error_;
};

void print_samples(const std::vector<Client>& clients, double wall_s,
                   const backend::ParkedStats& parked) {
  int failed = 0;
  const char* separator = "";
  std::printf("{\"wall_s\": %.6f, \"samples_us\": [", wall_s);
  for (const Client& client : clients) {
    failed += client.failed();
    if (client.failed() > 0) std::fprintf(stderr, "bench-service: %s\n", client.error().c_str());
    for (const double sample : client.samples()) {
      std::printf("%s%.1f", separator, sample);
      separator = ", ";
    }
  }
  std::printf("], \"failed\": %d, \"hits\": %llu, \"misses\": %llu}\n", failed,
              static_cast<unsigned long long>(parked.hits),
              static_cast<unsigned long long>(parked.misses));
}

double drive(runner::RunService& service, const Options& options, std::vector<Client>& clients) {
  const auto start = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (Client& client : clients) {
      threads.emplace_back([&client, &service, &options] { client.run(service, options); });
    }
  }
  return std::chrono::duration<double>(Clock::now() - start).count();
}

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
    wall_s = drive(service, options, clients);
  }
  print_samples(clients, wall_s, parked != nullptr ? parked->stats() : backend::ParkedStats{});
  return 0;
}

}  // namespace
}  // namespace airlock::bench

int main(int argc, char** argv) {
  const auto options = airlock::bench::parse_options(argc, argv);
  if (!options.has_value()) {
    std::fputs(
        "usage: bench-service --count N [--warmup W] [--clients C] [--slots S] [--parked P]\n"
        "                     [--pause-us T] PROGRAM\n",
        stderr);
    return 2;
  }
  return airlock::bench::measure(*options);
}
