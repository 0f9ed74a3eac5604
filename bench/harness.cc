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

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace airlock::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  int count = 0;
  int warmup = 0;
  int workers = 1;
  int gap_ms = 0;
  std::vector<std::string> argv;
};

double microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

std::optional<int> parse_count(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::optional<Options> parse_options(int argc, char** argv) {
  Options options;
  int at = 1;
  for (; at + 1 < argc && std::string_view(argv[at]) != "--"; at += 2) {
    const std::string_view name = argv[at];
    const std::optional<int> value = parse_count(argv[at + 1]);
    if (!value.has_value()) return std::nullopt;
    if (name == "--count") {
      options.count = *value;
    } else if (name == "--warmup") {
      options.warmup = *value;
    } else if (name == "--workers") {
      options.workers = *value;
    } else if (name == "--gap-ms") {
      options.gap_ms = *value;
    } else {
      return std::nullopt;
    }
  }
  if (at >= argc || std::string_view(argv[at]) != "--") return std::nullopt;
  options.argv.assign(argv + at + 1, argv + argc);
  if (options.argv.empty() || options.count < 1 || options.workers < 1) return std::nullopt;
  return options;
}

class Worker {
 public:
  Worker(const Options& options, const posix_spawn_file_actions_t& streams,
         std::atomic<unsigned>& numbers)
      : options_(options), streams_(streams), numbers_(numbers) {
    samples_.reserve(static_cast<std::size_t>(options.count));
  }

  void run() {
    for (int i = -options_.warmup; i < options_.count; ++i) {
      if (options_.gap_ms > 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(options_.gap_ms));
      fill_arguments();
      const auto start = Clock::now();
      const bool passed = start_and_wait();
      if (i < 0) continue;
      samples_.push_back(microseconds(Clock::now() - start));
      if (!passed) ++failed_;
    }
  }

  const std::vector<double>& samples() const { return samples_; }
  int failed() const { return failed_; }

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
  std::vector<double> samples_;
  int failed_ = 0;
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
  const auto start = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < workers.size(); ++i) {
      threads.emplace_back([&worker = workers[i]] { worker.run(); });
    }
    workers.front().run();
  }
  const double wall_s = microseconds(Clock::now() - start) / 1e6;
  posix_spawn_file_actions_destroy(&streams);

  int failed = 0;
  const char* separator = "";
  std::printf("{\"wall_s\": %.6f, \"samples_us\": [", wall_s);
  for (const Worker& worker : workers) {
    failed += worker.failed();
    for (const double sample : worker.samples()) {
      std::printf("%s%.1f", separator, sample);
      separator = ", ";
    }
  }
  std::printf("], \"failed\": %d}\n", failed);
  return 0;
}

}  // namespace
}  // namespace airlock::bench

int main(int argc, char** argv) {
  const auto options = airlock::bench::parse_options(argc, argv);
  if (!options.has_value()) {
    std::fputs(
        "usage: harness --count N [--warmup W] [--workers C] [--gap-ms G] -- PROGRAM ARGS...\n",
        stderr);
    return 2;
  }
  return airlock::bench::measure(*options);
}
