#include <CLI/CLI.hpp>

#include "apps/airlock/client_options.h"
#include "apps/airlock/follow.h"
#include "apps/airlock/job_text.h"
#include "apps/airlock/job_verbs.h"

namespace airlock::apps {
namespace {

struct StatusOptions {
  ClientFlags client;
  std::string job;
};

base::Result<int> status(const StatusOptions& options) {
  AIRLOCK_ASSIGN(client::ClientOptions service,
                 make_client_options(options.client, config::own_environment()));
  const client::JobClient client(std::move(service));
  AIRLOCK_ASSIGN(const client::JsonAnswer answer,
                 options.job.empty() ? client.status() : client.job(options.job));
  if (options.client.json) return print_whole(json_line(answer.text));
  if (options.job.empty()) return print_whole(describe_runner(answer.object));
  const base::SystemClock clock;
  return print_whole(
      describe_job(answer.object, time_of(answer, clock), same_server(options.client)));
}

}  // namespace

int status_verb(const std::vector<std::string>& words) {
  StatusOptions options;
  CLI::App app("Says everything about a job, or without one about the runner.", "airlock status");
  app.add_option("JOB", options.job, "Its id")->type_name("");
  add_client_flags(app, options.client);
  if (const auto code = parse_verb(app, "status", words)) return *code;
  const auto code = status(options);
  return code ? *code : end_with(code.error());
}

}  // namespace airlock::apps
