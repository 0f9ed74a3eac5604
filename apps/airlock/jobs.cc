#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "apps/airlock/client_options.h"
#include "apps/airlock/exit_codes.h"
#include "apps/airlock/follow.h"
#include "apps/airlock/job_text.h"
#include "apps/airlock/job_verbs.h"
#include "apps/airlock/print.h"
#include "apps/airlock/table.h"
#include "client/json_fields.h"

namespace airlock::apps {
namespace {

constexpr std::uint64_t kPageMax = 1'000;
constexpr std::size_t kJobsMax = 200'000;  // with --all

struct JobsOptions {
  ClientFlags client;
  client::JobListQuery query;
  std::vector<std::string> states;
  bool all = false;
};

void describe(CLI::App& app, JobsOptions& options) {
  app.add_option("--status", options.states,
                 "pending, cloning, building, prep, inference, completed, failed, timeout, "
                 "cancelled; several with commas [all]")
      ->type_name("STATE")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--limit", options.query.limit, "How many, the newest first")
      ->capture_default_str()
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, kPageMax));
  app.add_flag("--all", options.all, "All of them");
  app.add_option("--validator", options.query.validator, "Of this validator")->type_name("TEXT");
  app.add_option("--miner", options.query.miner, "Of this miner")->type_name("TEXT");
  app.add_option("--text", options.query.text, "With this in what they say of themselves")
      ->type_name("TEXT");
  add_client_flags(app, options.client);
}

struct Listed {
  client::JsonAnswer answer;  // of the last page
  boost::json::array jobs;    // of all pages
};

// Pages until there is no next one; a service that goes round in circles is left.
base::Result<Listed> list(const client::JobClient& client, JobsOptions& options) {
  if (options.all) options.query.limit = kPageMax;
  Listed listed;
  for (;;) {
    AIRLOCK_ASSIGN(listed.answer, client.list(options.query));
    const boost::json::array& page = client::array_of(listed.answer.object, "jobs");
    listed.jobs.insert(listed.jobs.end(), page.begin(), page.end());
    const std::string next = client::text_of(listed.answer.object, "next");
    if (!options.all || next.empty()) return listed;
    if (next == options.query.cursor || page.empty() || listed.jobs.size() > kJobsMax) {
      return base::fail(base::ErrorCode::kProtocol, "the service's list of jobs does not end");
    }
    options.query.cursor = next;
  }
}

std::string table_of(const boost::json::array& jobs, model::WallTime now) {
  Table table({{"JOB"}, {"STATE"}, {"CLASS"}, {"AGE", true}, {"TIME", true}, {"REPOSITORY"}});
  for (const boost::json::value& item : jobs) {
    const auto* const job = item.if_object();
    if (job == nullptr) continue;
    table.add({client::text_of(*job, "job_id"), job_phase(*job),
               client::text_of(*job, "weight_class"), job_age(*job, now), job_duration(*job, now),
               client::text_of(*job, "repo_url")});
  }
  return table.empty() ? "" : table.text(terminal_columns(STDOUT_FILENO));
}

base::Result<int> jobs(JobsOptions& options) {
  for (const std::string& state : options.states) {
    options.query.states += (options.query.states.empty() ? "" : ",") + state;
  }
  AIRLOCK_ASSIGN(client::ClientOptions service,
                 make_client_options(options.client, config::own_environment()));
  const client::JobClient client(std::move(service));
  AIRLOCK_ASSIGN(Listed listed, list(client, options));
  if (options.client.json && !options.all) return print_whole(json_line(listed.answer.text));
  if (options.client.json) {
    return print_whole(json_line(boost::json::serialize(
        boost::json::object{{"jobs", std::move(listed.jobs)}, {"next", nullptr}})));
  }
  const base::SystemClock clock;
  const std::string table = table_of(listed.jobs, time_of(listed.answer, clock));
  if (table.empty()) {
    const bool asked = !options.query.states.empty() || !options.query.validator.empty() ||
                       !options.query.miner.empty() || !options.query.text.empty();
    print_line(asked ? "no job is like that" : "there are no jobs; airlock submit makes one");
  }
  const int printed = print_whole(table);
  if (!options.all && !client::text_of(listed.answer.object, "next").empty()) {
    print_line("there are more: --limit, or --all");
  }
  return printed;
}

}  // namespace

int jobs_verb(const std::vector<std::string>& words) {
  JobsOptions options;
  CLI::App app("Lists jobs, the newest first.", "airlock jobs");
  describe(app, options);
  if (const auto code = parse_verb(app, "jobs", words)) return *code;
  const auto code = jobs(options);
  return code ? *code : end_with(code.error());
}

}  // namespace airlock::apps
