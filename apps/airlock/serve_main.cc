// airlock-daemon: `airlock serve`, as a program of its own beside airlock.
//
// Apart so that `airlock run`, which lives for two milliseconds, does not carry the network
// library: it made every run a twentieth slower.
#include <unistd.h>

#include <exception>
#include <string>
#include <vector>

#include "apps/airlock/exit_codes.h"
#include "apps/airlock/serve.h"
#include "telemetry/log.h"

int main(int argc, char** argv) {
  try {
    // As airlock was called: the verb is the first word.
    return airlock::apps::serve(std::vector<std::string>(argv + (argc > 1 ? 2 : 1), argv + argc));
  } catch (const std::exception& error) {
    airlock::telemetry::Log(STDERR_FILENO).error("serve.failed", {{"reason", error.what()}});
    return airlock::apps::kExitFailed;
  }
}
