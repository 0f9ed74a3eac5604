// What the measuring programs have in common: options, workers at once, samples as JSON.
//
// Options are pairs of words, "--count 100". Workers are driven by a thread each and keep their own
// Samples. What is printed is one line,
//   {"wall_s": s, "samples_us": [...], "failed": n}
// with whatever else a program has to tell, for bench/measure.py.
#pragma once

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

namespace airlock::bench {

using Clock = std::chrono::steady_clock;

inline double microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

struct Option {
  std::string_view name;
  std::variant<int*, std::string*> place;
};

inline bool parse_number(std::string_view text, int* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && *number >= 0;
}

// False if a word is no option, lacks its value, or has one that is no number where one is wanted.
inline bool parse_options(std::span<char* const> words, std::initializer_list<Option> known) {
  if (words.size() % 2 != 0) return false;
  for (std::size_t at = 0; at < words.size(); at += 2) {
    bool taken = false;
    for (const Option& option : known) {
      if (option.name != words[at]) continue;
      if (std::string* const* text = std::get_if<std::string*>(&option.place)) {
        **text = words[at + 1];
        taken = true;
      } else {
        taken = parse_number(words[at + 1], std::get<int*>(option.place));
      }
    }
    if (!taken) return false;
  }
  return true;
}

struct Samples {
  std::vector<double> us;
  int failed = 0;
  std::string error;  // of the last that failed; may be empty

  void add(Clock::duration duration) { us.push_back(microseconds(duration)); }
  void fail(std::string why = {}) {
    ++failed;
    error = std::move(why);
  }
};

// drive(worker) for all of them at once, the first on this thread. Returns how long it took.
template <typename Worker, typename Drive>
double run_at_once(std::vector<Worker>& workers, const Drive& drive) {
  const auto start = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < workers.size(); ++i) {
      threads.emplace_back([&drive, &worker = workers[i]] { drive(worker); });
    }
    drive(workers.front());
  }
  return microseconds(Clock::now() - start) / 1e6;
}

// `more` is put into the object as it is: `, "hits": 3`. Errors go to stderr, after `program`.
template <typename Worker>
void print_samples(const char* program, const std::vector<Worker>& workers, double wall_s,
                   const std::string& more = {}) {
  int failed = 0;
  const char* separator = "";
  std::printf("{\"wall_s\": %.6f, \"samples_us\": [", wall_s);
  for (const Worker& worker : workers) {
    const Samples& samples = worker.samples();
    failed += samples.failed;
    if (!samples.error.empty()) std::fprintf(stderr, "%s: %s\n", program, samples.error.c_str());
    for (const double sample : samples.us) {
      std::printf("%s%.1f", separator, sample);
      separator = ", ";
    }
  }
  std::printf("], \"failed\": %d%s}\n", failed, more.c_str());
}

}  // namespace airlock::bench
