// harness: starts a program again and again and measures each start to exit, with nothing in
// between.
//
//   harness --count N [--warmup W] [--workers C] [--gap-ms G] -- PROGRAM ARGS...
//
// Written so that the one who measures is small: posix_spawn (a vfork inside) from a static
// program, /dev/null for all three streams, CLOCK_MONOTONIC around spawn and wait. C workers each
// start N programs.
// "{n}" in an argument becomes a number that is never used twice. Prints
// {"samples_us": [...], "wall_s": s, "failed": n}; a start that fails or exits with another code
// than 0 is counted as failed and its time is kept.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "bench/measuring.h"

namespace airlock::bench {
namespace {

struct Options {
  int count = 0;
  int warmup = 0;
  int workers = 1;
  int gap_ms = 0;
  std::vector<std::string> argv;
};

std::optional<Options> parse_words(int argc, char** argv) {
  Options options;
  char** const end = argv + argc;
  char** const dashes = std::find(argv + 1, end, std::string_view("--"));
  if (dashes == end || dashes + 1 == end) return std::nullopt;
  if (!parse_options({argv + 1, dashes}, {{"--count", &options.count},
                                          {"--warmup", &options.warmup},
                                          {"--workers", &options.workers},
                                          {"--gap-ms", &options.gap_ms}})) {
    return std::nullopt;
  }
  options.argv.assign(dashes + 1, end);
  if (options.count < 1 || options.workers < 1) return std::nullopt;
  return options;
}

class Worker {
 public:
  Worker(const Options& options, const posix_spawn_file_actions_t& streams,
         std::atomic<unsigned>& numbers)
      : options_(options), streams_(streams), numbers_(numbers) {
    samples_.us.reserve(static_cast<std::size_t>(options.count));
  }

  void run() {
    for (int i = -options_.warmup; i < options_.count; ++i) {
      if (options_.gap_ms > 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(options_.gap_ms));
      fill_arguments();
      const auto start = Clock::now();
      const bool passed = start_and_wait();
      if (i < 0) continue;
      samples_.add(Clock::now() - start);
      if (!passed) samples_.fail();
    }
  }

  const Samples& samples() const { return samples_; }

 private:
  void fill_arguments() {
    words_ = options_.argv;
    arguments_.clear();
    for (std::string& word : words_) {
      if (const std::size_t at = word.find("{n}"); at != std::string::npos) {
        word.replace(at, 3, std::to_string(numbers_.fetch_add(1)));
      }
      arguments_.push_back(word.data());
    }
    arguments_.push_back(nullptr);
  }

  bool start_and_wait() {
    pid_t pid = -1;
    if (posix_spawnp(&pid, arguments_[0], &streams_, nullptr, arguments_.data(), environ) != 0) {
      return false;
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status == 0;
  }

  const Options& options_;
  const posix_spawn_file_actions_t& streams_;
  std::atomic<unsigned>& numbers_;
  std::vector<std::string> words_;
  std::vector<char*> arguments_;
  Samples samples_;
};

int measure(const Options& options) {
  posix_spawn_file_actions_t streams;
  posix_spawn_file_actions_init(&streams);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    posix_spawn_file_actions_addopen(&streams, fd, "/dev/null", O_RDWR, 0);
  }
  std::atomic<unsigned> numbers{1};
  std::vector<Worker> workers;
  for (int i = 0; i < options.workers; ++i) workers.emplace_back(options, streams, numbers);
  const double wall_s = run_at_once(workers, [](Worker& worker) { worker.run(); });
  posix_spawn_file_actions_destroy(&streams);
  print_samples("bench-harness", workers, wall_s);
  return 0;
}

}  // namespace
}  // namespace airlock::bench

int main(int argc, char** argv) {
  const auto options = airlock::bench::parse_words(argc, argv);
  if (!options.has_value()) {
    std::fputs(
        "usage: harness --count N [--warmup W] [--workers C] [--gap-ms G] -- PROGRAM ARGS...\n",
        stderr);
    return 2;
  }
  return airlock::bench::measure(*options);
}
