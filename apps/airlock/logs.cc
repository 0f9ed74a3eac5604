#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "apps/airlock/client_options.h"
#include "apps/airlock/exit_codes.h"
#include "apps/airlock/follow.h"
#include "apps/airlock/job_verbs.h"
#include "apps/airlock/print.h"
#include "client/json_fields.h"

namespace airlock::apps {
namespace {

constexpr std::size_t kPhasesMax = 100;

struct LogsOptions {
  ClientFlags client;
  std::string job;
  std::string phase;
  bool follow = false;
};

// One entry of JSON a line: as the service says it, for here there is nothing beside the log.
class EntryDisplay final : public JobDisplay {
 public:
  void show_job(const boost::json::object&, model::WallTime) override {}
  void show_log(const LogEntry&, std::string_view json) override { write(1, json_line(json)); }
  void note(std::string_view text) override { print_line(text); }
  void close() override {}
};

base::Status show_entries(const client::JsonAnswer& answer, JobDisplay& display) {
  for (const boost::json::value& item : client::array_of(answer.object, "entries")) {
    const auto* const object = item.if_object();
    const auto entry = object == nullptr ? std::nullopt : read_log_entry(*object);
    if (!entry) {
      return base::fail(base::ErrorCode::kProtocol, "the service sent an entry that is none");
    }
    display.show_log(*entry, boost::json::serialize(*object));
  }
  return {};
}

base::Status show_phase(const client::JobClient& client, const std::string& job,
                        const std::string& phase, JobDisplay& display) {
  for (std::uint64_t offset = 0; !display.broken();) {
    AIRLOCK_ASSIGN(const client::JsonAnswer answer, client.logs(job, phase, offset));
    if (client::array_of(answer.object, "entries").empty()) return {};
    AIRLOCK_TRY(show_entries(answer, display));
    const std::uint64_t next = client::count_of(answer.object, "next_offset");
    if (next <= offset) {
      return base::fail(base::ErrorCode::kProtocol, "the service's log does not go on");
    }
    offset = next;
  }
  return {};
}

base::Status show_all(const client::JobClient& client, const LogsOptions& options,
                      JobDisplay& display) {
  if (!options.phase.empty()) return show_phase(client, options.job, options.phase, display);
  AIRLOCK_ASSIGN(const client::JsonAnswer answer, client.logs(options.job, "", 0));
  const boost::json::array& phases = client::array_of(answer.object, "phases");
  for (std::size_t i = 0; i < phases.size() && i < kPhasesMax; ++i) {
    if (!phases[i].is_string()) continue;
    AIRLOCK_TRY(show_phase(client, options.job, std::string(phases[i].get_string()), display));
  }
  if (phases.empty()) display.note("nothing was written yet");
  return {};
}

base::Result<int> logs(const LogsOptions& options) {
  AIRLOCK_ASSIGN(client::ClientOptions service,
                 make_client_options(options.client, config::own_environment()));
  std::unique_ptr<JobDisplay> display = make_plain_display(LogMarks::kPhases);
  if (options.client.json) display = std::make_unique<EntryDisplay>();
  if (!options.follow) {
    const client::JobClient client(std::move(service));
    const base::Status shown = show_all(client, options, *display);
    display->close();
    AIRLOCK_TRY(shown);
    return display->broken() ? kExitFailed : 0;
  }
  AIRLOCK_ASSIGN(const InterruptWatch watch, InterruptWatch::open());
  service.interrupted = [&watch] { return watch.interrupted(); };
  const client::JobClient client(std::move(service));
  AIRLOCK_TRY(client::check_job_id(options.job));
  const base::SystemClock clock;
  const FollowRequest request{.job = options.job, .phase = options.phase, .what = FollowWhat::kLog};
  AIRLOCK_ASSIGN(const FollowEnd end, follow(client, clock, watch, *display, request));
  if (end.kind == FollowEnd::Kind::kInterrupted) return kExitJobGoesOn;
  return end.kind == FollowEnd::Kind::kJobEnded ? 0 : kExitFailed;
}

}  // namespace

int logs_verb(const std::vector<std::string>& words) {
  LogsOptions options;
  CLI::App app("Shows what the programs of a job wrote, stdout to stdout and stderr to stderr.",
               "airlock logs");
  app.add_option("JOB", options.job, "Its id")->required()->type_name("");
  app.add_flag("-f,--follow", options.follow, "Go on until the job has ended");
  app.add_option("--phase", options.phase, "Only of this one: clone, build, prep, inference")
      ->type_name("PHASE");
  add_client_flags(app, options.client);
  if (const auto code = parse_verb(app, "logs", words)) return *code;
  const auto code = logs(options);
  return code ? *code : end_with(code.error());
}

}  // namespace airlock::apps
