#include <CLI/CLI.hpp>

#include "apps/airlock/client_options.h"
#include "apps/airlock/exit_codes.h"
#include "apps/airlock/job_verbs.h"
#include "apps/airlock/print.h"
#include "client/job_client.h"
#include "client/json_fields.h"
#include "model/job.h"

namespace airlock::apps {
namespace {

struct CancelOptions {
  ClientFlags client;
  std::vector<std::string> jobs;
};

// The first exit code that is not 0 is the verb's: the others are asked nevertheless.
int cancel_one(const client::JobClient& client, const std::string& id, bool json) {
  const auto answer = client.cancel(id);
  if (!answer) {
    print_error(id, answer.error());
    return exit_code_of(answer.error());
  }
  const std::string status = client::text_of(answer->object, "status");
  const bool cancelled = status == model::job_state_name(model::JobState::kCancelled);
  if (json) {
    const int printed = print_whole(json_line(answer->text));
    if (printed != 0) return printed;
  } else if (cancelled) {
    const int printed = print_whole(id + " cancelled\n");
    if (printed != 0) return printed;
  } else {
    print_line(id + " is " + status + ": there is nothing to cancel");
  }
  return cancelled ? 0 : kExitNo;
}

}  // namespace

int cancel_verb(const std::vector<std::string>& words) {
  CancelOptions options;
  CLI::App app("Cancels jobs, whatever they are doing.", "airlock cancel");
  app.add_option("JOB", options.jobs, "Their ids")->required()->type_name("");
  add_client_flags(app, options.client);
  if (const auto code = parse_verb(app, "cancel", words)) return *code;
  auto service = make_client_options(options.client, config::own_environment());
  if (!service) return end_with(service.error());
  const client::JobClient client(std::move(*service));
  int exit_code = 0;
  for (const std::string& id : options.jobs) {
    const int code = cancel_one(client, id, options.client.json);
    if (exit_code == 0) exit_code = code;
  }
  return exit_code;
}

}  // namespace airlock::apps
