// airlock: the one program that a user sees. Picks the verb and builds that verb's command line
// only, because building all of them would cost as much time as a whole run.
#include <stdio.h>
#include <unistd.h>

#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "apps/airlock/companions.h"
#include "apps/airlock/doctor.h"
#include "apps/airlock/early.h"
#include "apps/airlock/exit_codes.h"
#include "apps/airlock/health.h"
#include "apps/airlock/languages.h"
#include "apps/airlock/print.h"
#include "apps/airlock/run.h"
#include "apps/airlock/simulate.h"
#include "language/nearest_name.h"

namespace airlock::apps {
namespace {

using Words = std::vector<std::string>;

struct Verb {
  std::string_view name;
  std::string_view summary;
  int (*run)(const Words& words);  // null: the program beside ours has it
};

int run_help(const Words& words);
int print_version(const Words&);

constexpr Verb kVerbs[] = {
    {"run", "run one program in a sandbox", run_verb},
    {"serve", "run programs for whoever asks over HTTP, and jobs", nullptr},
    {"health", "ask a service whether it is well", health_verb},
    {"submit", "submit a job to a service: a repository that is built and run", nullptr},
    {"jobs", "list the jobs of a service", nullptr},
    {"status", "show a job, or what a service has and does", nullptr},
    {"logs", "show what a job wrote", nullptr},
    {"cancel", "cancel jobs", nullptr},
    {"outputs", "list or fetch what a job gave back, and its receipt", nullptr},
    {"verify", "check the receipt of a job", nullptr},
    {"languages", "list the languages that this host can run", languages_verb},
    {"simulate", "replay a trace of jobs through the queue", simulate_verb},
    {"doctor", "check this host, with the fix for everything that is wrong", doctor_verb},
    {"help", "explain a verb", run_help},
    {"version", "print the version", print_version},
};

const Verb* find_verb(std::string_view name) {
  for (const Verb& verb : kVerbs) {
    if (verb.name == name) return &verb;
  }
  return nullptr;
}

void print_usage(FILE* to) {
  (void)::fputs(
      "Usage: airlock VERB [options]\n\nRuns code that nobody trusts, on your own machine.\n\n",
      to);
  for (const Verb& verb : kVerbs) {
    (void)::fprintf(to, "  %-11s %s\n", verb.name.data(), verb.summary.data());
  }
  (void)::fputs("\n`airlock help VERB` explains one of them. First run: airlock run hello.py\n",
                to);
}

int refuse_verb(std::string_view name) {
  Words names;
  for (const Verb& verb : kVerbs) names.emplace_back(verb.name);
  print_line("there is no verb \"" + std::string(name) + "\"" +
             language::did_you_mean(name, names));
  print_usage(stderr);
  return kExitUsage;
}

// What stands on heavy libraries is a program beside ours (serve_main.cc says why), with the verb
// as its first word.
int run_in_daemon_program(std::string_view verb, const Words& words) {
  const std::string program = (companions_folder() / "airlock-daemon").string();
  Words named = {"airlock", std::string(verb)};
  named.insert(named.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (std::string& word : named) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  base::Error failed = base::errno_error("start " + program);
  failed.hint = missing_companion(companions_folder(), "airlock-daemon");
  print_error(failed);
  return kExitFailed;
}

int run(const Verb& verb, const Words& words) {
  return verb.run != nullptr ? verb.run(words) : run_in_daemon_program(verb.name, words);
}

int run_help(const Words& words) {
  if (words.empty()) {
    print_usage(stdout);
    return 0;
  }
  const Verb* const verb = find_verb(words[0]);
  if (verb == nullptr) return refuse_verb(words[0]);
  if (verb->run == run_help) return run_help({});
  return run(*verb, {"--help"});
}

int print_version(const Words&) {
  (void)::puts("airlock " AIRLOCK_VERSION);
  return 0;
}

int dispatch(int count, char** words) {
  if (count < 2) {
    print_usage(stderr);
    return kExitUsage;
  }
  const std::string_view name = words[1];
  if (name == "--help" || name == "-h") return run_help({});
  if (name == "--version" || name == "-V") return print_version({});
  const Verb* const verb = find_verb(name);
  return verb == nullptr ? refuse_verb(name) : run(*verb, Words(words + 2, words + count));
}

}  // namespace
}  // namespace airlock::apps

int main(int argc, char** argv) {
  try {
    if (!airlock::apps::standard_streams_filled) return airlock::apps::kExitFailed;
    return airlock::apps::dispatch(argc, argv);
  } catch (const std::exception& error) {
    airlock::apps::print_line(std::string("failed: ") + error.what());
    return airlock::apps::kExitFailed;
  }
}
