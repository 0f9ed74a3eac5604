#include "apps/airlock/simulate.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "apps/airlock/exit_codes.h"
#include "apps/airlock/parse_words.h"
#include "apps/airlock/print.h"
#include "apps/airlock/simulate_report.h"
#include "base/unique_fd.h"
#include "language/nearest_name.h"
#include "queue/policy.h"
#include "queue/simulation/gantt.h"
#include "queue/simulation/simulation.h"

namespace airlock::apps {
namespace {

constexpr double kMixPercentMin = 1;
constexpr double kMixPercentMax = 200;
constexpr std::string_view kEveryPolicy = "all";

struct SimulateOptions {
  std::string trace;
  double mix_percent = 0;
  std::size_t jobs = 5'000;
  std::uint32_t gpus = 8;
  std::uint64_t seed = 1;
  std::vector<std::string> policies = {"airlock"};
  std::string estimate = "exact";
  std::string threshold;
  std::string svg;
  bool json = false;
};

std::unexpected<base::Error> refuse(std::string message, std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::move(message), std::move(hint));
}

void add_options(CLI::App& app, SimulateOptions& options) {
  app.add_option("TRACE", options.trace,
                 "A CSV file with the columns arrival_seconds, gpus and duration_seconds; "
                 "priority, tenant and bound_seconds are used where they are")
      ->type_name("");
  app.add_option("--gpus", options.gpus, "How many the host has")
      ->capture_default_str()
      ->check(CLI::Range(std::uint32_t{1}, queue::kSimulatedGpusMax));
  app.add_option("--policy", options.policies,
                 "fifo, best-fit, seed, airlock, or all; several are compared [airlock]")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--estimate", options.estimate,
                 "What a job says of its length beforehand: exact, x2 (twice that), or timeout "
                 "(the longest of all, for each)")
      ->capture_default_str();
  app.add_option("--mix", options.mix_percent,
                 "No trace: random jobs of 1, 2, 4 and 8 GPUs that ask for this many percent of "
                 "the host's time")
      ->type_name("PERCENT")
      ->check(CLI::Range(kMixPercentMin, kMixPercentMax));
  app.add_option("--jobs", options.jobs, "How many are in the mix")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{1}, queue::kTraceJobsMax));
  app.add_option("--seed", options.seed, "Of the mix; replaying a trace has no chance in it")
      ->capture_default_str();
  app.add_option("--starvation-threshold", options.threshold,
                 "Who waits longer gets a reservation [1h]")
      ->type_name("TIME");
  app.add_option("--svg", options.svg, "Draw a Gantt chart; of one policy")->type_name("FILE");
  app.add_flag("--json", options.json, "Print one JSON object");
}

base::Result<std::string> read_trace(const std::string& path) {
  const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file.valid()) return base::fail_errno("open " + path);
  std::string text;
  std::array<char, 64 * 1024> buffer;
  while (text.size() <= queue::kTraceBytesMax) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0) return base::fail_errno("read " + path);
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return text;  // longer than allowed, which the parser says
}

base::Status write_file(const std::string& path, std::string_view text) {
  const base::UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644));
  if (!file.valid()) return base::fail_errno("write " + path);
  while (!text.empty()) {
    const ssize_t count = ::write(file.get(), text.data(), text.size());
    if (count < 0) return base::fail_errno("write " + path);
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

base::Result<std::vector<std::unique_ptr<queue::Policy>>> find_policies(
    const std::vector<std::string>& names) {
  std::vector<std::string> wanted;
  for (const std::string& name : names) {
    if (name == kEveryPolicy) {
      wanted.insert(wanted.end(), queue::kPolicyNames.begin(), queue::kPolicyNames.end());
    } else {
      wanted.push_back(name);
    }
  }
  std::vector<std::unique_ptr<queue::Policy>> policies;
  for (const std::string& name : wanted) {
    auto policy = queue::make_policy(name);
    if (policy == nullptr) {
      const std::vector<std::string> known(queue::kPolicyNames.begin(), queue::kPolicyNames.end());
      return refuse("there is no policy \"" + name + "\"" + language::did_you_mean(name, known),
                    "there are fifo, best-fit, seed and airlock; all compares them");
    }
    const auto is_same = [&](const auto& other) { return other->name() == name; };
    if (std::ranges::none_of(policies, is_same)) policies.push_back(std::move(policy));
  }
  return policies;
}

base::Result<std::vector<queue::TraceJob>> make_jobs(const SimulateOptions& options) {
  const auto kind = queue::find_bound_kind(options.estimate);
  if (!kind) {
    return refuse("there is no estimate \"" + options.estimate + "\"",
                  "it is exact, x2 or timeout");
  }
  if (!std::isfinite(options.mix_percent)) return refuse("--mix wants a number of percent");
  if (options.trace.empty() == (options.mix_percent == 0)) {
    return refuse(options.trace.empty() ? "there is nothing to simulate"
                                        : "a trace and --mix are one too many",
                  "give a trace, `airlock simulate TRACE.csv`, or `--mix 90`");
  }
  std::vector<queue::TraceJob> jobs;
  if (options.trace.empty()) {
    jobs = queue::make_mix({.seed = options.seed,
                            .gpus = options.gpus,
                            .load = options.mix_percent / 100,
                            .jobs = options.jobs});
  } else {
    AIRLOCK_ASSIGN(const std::string text, read_trace(options.trace));
    AIRLOCK_ASSIGN(jobs, queue::parse_trace(text, options.gpus).with_context(options.trace));
  }
  queue::set_bounds(jobs, *kind);
  return jobs;
}

struct Plan {
  std::vector<std::unique_ptr<queue::Policy>> policies;
  std::vector<queue::TraceJob> jobs;
  queue::Knobs knobs;
};

base::Result<Plan> make_plan(const SimulateOptions& options) {
  Plan plan;
  AIRLOCK_ASSIGN(plan.policies, find_policies(options.policies));
  if (!options.svg.empty() && plan.policies.size() != 1) {
    return refuse("--svg draws one policy", "choose it with --policy");
  }
  if (!options.threshold.empty()) {
    AIRLOCK_ASSIGN(plan.knobs.starvation_threshold,
                   base::parse_duration(options.threshold).with_context("--starvation-threshold"));
  }
  AIRLOCK_ASSIGN(plan.jobs, make_jobs(options));
  return plan;
}

std::string trace_name(const SimulateOptions& options) {
  return std::filesystem::path(options.trace).filename().string();
}

base::Status run_plan(const SimulateOptions& options, const Plan& plan) {
  SimulationHead head{.trace = escaped(trace_name(options)),
                      .load = options.mix_percent / 100,
                      .seed = options.seed,
                      .gpus = options.gpus,
                      .jobs = plan.jobs.size(),
                      .estimate = options.estimate};
  queue::Resources host;
  host.gpus = options.gpus;
  std::vector<Simulated> simulated;
  for (const auto& policy : plan.policies) {
    AIRLOCK_ASSIGN(
        const std::vector<queue::ScheduledJob> schedule,
        queue::simulate({.jobs = plan.jobs, .host = host, .policy = *policy, .knobs = plan.knobs}));
    simulated.push_back({.policy = std::string(policy->name()),
                         .summary = queue::summarize(plan.jobs, schedule, options.gpus)});
    if (options.svg.empty()) continue;
    const std::string title =
        (head.trace.empty() ? "A mix, seed " + std::to_string(head.seed) : head.trace) + ", " +
        simulated.back().policy + ", " + std::to_string(options.gpus) + " GPUs";
    AIRLOCK_TRY(
        write_file(options.svg, queue::gantt_svg(plan.jobs, schedule, options.gpus, title)));
  }
  const std::string text =
      options.json ? simulation_json(head, simulated) + "\n" : simulation_text(head, simulated);
  const bool is_printed =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return is_printed ? base::Status() : base::fail_errno("write to stdout");
}

}  // namespace

int simulate_verb(const std::vector<std::string>& words) {
  SimulateOptions options;
  CLI::App app("Replays a trace of jobs through the queue: how long would they have waited?",
               "airlock simulate");
  add_options(app, options);
  if (const auto code = parse_words(app, "simulate", words)) return *code;
  const auto plan = make_plan(options);
  if (!plan) {
    print_error("simulate", plan.error());
    return kExitUsage;
  }
  if (const auto done = run_plan(options, *plan); !done) {
    print_error("simulate", done.error());
    return kExitFailed;
  }
  return 0;
}

}  // namespace airlock::apps
