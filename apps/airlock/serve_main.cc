// airlock-daemon: the verbs of airlock that stand on heavy libraries, `airlock serve` among them,
// as a program of its own beside airlock.
//
// Apart so that `airlock run`, which lives for two milliseconds, does not carry the network
// library: it made every run a twentieth slower. `airlock` executes it with the verb as the first
// word; the supervisor executes it again as the daemon.
#include <unistd.h>

#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "apps/airlock/exit_codes.h"
#include "apps/airlock/job_verbs.h"
#include "apps/airlock/serve.h"
#include "apps/airlock/verify.h"
#include "telemetry/log.h"

namespace airlock::apps {
namespace {

struct Verb {
  std::string_view name;
  int (*run)(const std::vector<std::string>& words);
};

constexpr Verb kVerbs[] = {
    {"cancel", cancel_verb},   {"jobs", jobs_verb},     {"logs", logs_verb},
    {"outputs", outputs_verb}, {"serve", serve},        {"status", status_verb},
    {"submit", submit_verb},   {"verify", verify_verb},
};

int dispatch(int argc, char** argv) {
  const std::vector<std::string> words(argv + (argc > 1 ? 2 : 1), argv + argc);
  for (const Verb& verb : kVerbs) {
    if (argc > 1 && verb.name == argv[1]) return verb.run(words);
  }
  return serve(words);
}

}  // namespace
}  // namespace airlock::apps

int main(int argc, char** argv) {
  try {
    return airlock::apps::dispatch(argc, argv);
  } catch (const std::exception& error) {
    airlock::telemetry::Log(STDERR_FILENO).error("serve.failed", {{"reason", error.what()}});
    return airlock::apps::kExitFailed;
  }
}
