#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <deque>
#include <optional>

#include "apps/airlock/client_options.h"
#include "apps/airlock/exit_codes.h"
#include "apps/airlock/follow.h"
#include "apps/airlock/job_text.h"
#include "apps/airlock/job_verbs.h"
#include "apps/airlock/job_wishes.h"
#include "apps/airlock/print.h"
#include "base/ids.h"
#include "base/unique_fd.h"
#include "client/json_fields.h"

namespace airlock::apps {
namespace {

constexpr std::size_t kKeyBytes = 16;

struct SubmitOptions {
  ClientFlags client;
  std::vector<std::string> what;   // an URL, a file, or both
  std::deque<std::string> values;  // of job_fields(), in their order
  std::vector<std::string> environment;
  bool follow = false;
};

void describe(CLI::App& app, SubmitOptions& options) {
  app.add_option("REPO_URL | FILE.yaml", options.what,
                 "The repository, or a file that says what the flags below say")
      ->type_name("");
  for (const JobField& field : job_fields()) {
    std::string& value = options.values.emplace_back();
    if (field.name == kRepoWish) continue;
    app.add_option(flag_of(field), value, std::string(field.help))
        ->type_name(std::string(field.type_name));
  }
  app.add_option("--env", options.environment, "A variable of the program; repeatable")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  app.add_flag("-f,--follow", options.follow, "Show it while it runs; the exit code is its end's");
  add_client_flags(app, options.client);
}

bool is_file(std::string_view what) {
  return (what.ends_with(".yaml") || what.ends_with(".yml")) &&
         what.find("://") == std::string_view::npos;
}

base::Result<std::string> read_file(const std::string& path) {
  const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file.valid()) {
    base::Error error = base::errno_error("open " + path);
    error.code = base::ErrorCode::kInvalidArgument;
    return base::fail(std::move(error));
  }
  std::string text(kJobYamlBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(file.get(), text.data() + size, text.size() - size);
    if (count < 0) return base::fail_errno("read " + path);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  if (size > kJobYamlBytesMax) {
    return base::fail(
        base::ErrorCode::kInvalidArgument,
        path + " is larger than " + base::format_byte_count(base::ByteCount(kJobYamlBytesMax)));
  }
  return text;
}

// The file first: flags win over it.
base::Result<JobWishes> read_wishes(const SubmitOptions& options) {
  JobWishes wishes;
  std::optional<std::string> file;
  std::optional<std::string> repository;
  for (const std::string& what : options.what) {
    auto& to = is_file(what) ? file : repository;
    if (to) {
      return base::fail(base::ErrorCode::kInvalidArgument,
                        "\"" + *to + "\" and \"" + what + "\": one job at a time",
                        "give one repository, one file, or one of each");
    }
    to = what;
  }
  if (file) {
    AIRLOCK_ASSIGN(const std::string text, read_file(*file));
    AIRLOCK_ASSIGN(wishes, parse_job_yaml(text, *file));
  }
  if (repository) wishes.fields.insert_or_assign(std::string(kRepoWish), Wish{*repository, ""});
  for (std::size_t i = 0; i < options.values.size(); ++i) {
    if (options.values[i].empty()) continue;
    const JobField& field = job_fields()[i];
    wishes.fields.insert_or_assign(std::string(field.name),
                                   Wish{options.values[i], flag_of(field)});
  }
  for (const std::string& variable : options.environment) {
    AIRLOCK_TRY(add_variable(variable, wishes));
  }
  return wishes;
}

int exit_code_of_job(const boost::json::object& job) {
  const auto state = model::find_job_state(client::text_of(job, "status"));
  if (!state) return kExitFailed;
  switch (*state) {
    case model::JobState::kCompleted: return 0;
    case model::JobState::kFailed: return kExitNo;
    case model::JobState::kTimeout: return kExitWallTimeout;
    case model::JobState::kCancelled: return kExitCancelled;
    default: return kExitJobGoesOn;
  }
}

std::unique_ptr<JobDisplay> make_display(bool json) {
  if (json) return make_json_display();
  if (::isatty(STDERR_FILENO) != 0) return make_terminal_display();
  return make_plain_display(LogMarks::kNone);
}

// The job goes on, whatever becomes of who follows it.
int stopped_following(const std::string& id, const std::string& server) {
  print_line(id + " goes on; to stop it: airlock cancel " + id + server);
  print_line("to see it again: airlock logs -f " + id + server);
  return kExitJobGoesOn;
}

int follow_submitted(const client::JobClient& client, const InterruptWatch& watch,
                     const std::string& id, const ClientFlags& flags) {
  const std::string server = same_server(flags);
  const base::SystemClock clock;
  const std::unique_ptr<JobDisplay> display = make_display(flags.json);
  const FollowRequest request{.job = id, .phase = "", .what = FollowWhat::kLogAndState};
  const auto end = follow(client, clock, watch, *display, request);
  if (!end) {
    const int code = end_with(end.error());
    (void)stopped_following(id, server);
    return code;
  }
  if (end->kind == FollowEnd::Kind::kInterrupted) return stopped_following(id, server);
  if (end->kind == FollowEnd::Kind::kNobodyReads) return kExitFailed;
  const boost::json::object& job = end->job.object;
  if (flags.json) {
    const int printed = print_whole(
        json_line(boost::json::serialize(boost::json::object{{"event", "ended"}, {"data", job}})));
    if (printed != 0) return printed;
  } else {
    const std::string text = describe_end(job, time_of(end->job, clock), server);
    (void)!::write(STDERR_FILENO, text.data(), text.size());
  }
  return exit_code_of_job(job);
}

std::string submitted_line(const client::JsonAnswer& answer, const SubmitOptions& options) {
  if (!options.client.json) return client::text_of(answer.object, "job_id") + "\n";
  if (!options.follow) return json_line(answer.text);
  return json_line(
      boost::json::serialize(boost::json::object{{"event", "submitted"}, {"data", answer.object}}));
}

base::Result<int> submit(const SubmitOptions& options) {
  AIRLOCK_ASSIGN(const JobWishes wishes, read_wishes(options));
  AIRLOCK_ASSIGN(const boost::json::object request, make_request(wishes));
  AIRLOCK_ASSIGN(client::ClientOptions service,
                 make_client_options(options.client, config::own_environment()));
  std::optional<InterruptWatch> watch;
  if (options.follow) {
    AIRLOCK_ASSIGN(watch, InterruptWatch::open());
    service.interrupted = [&watch] { return watch->interrupted(); };
  }
  const client::JobClient client(std::move(service));
  std::string key = wishes.text(kKeyWish);
  base::SystemRandom random;
  if (key.empty()) key = "submit-" + base::make_hex(kKeyBytes, random);
  auto answer = client.submit(request, key);
  if (!answer && (answer.error().code == base::ErrorCode::kIo ||
                  answer.error().code == base::ErrorCode::kCancelled)) {
    answer.error().hint = "whether the job was taken is not known; --idempotency-key " + key +
                          " submits it again without making a second one";
  }
  if (!answer) return base::fail(answer.error());
  const std::string id = client::text_of(answer->object, "job_id");
  AIRLOCK_TRY(client::check_job_id(id).with_context("the service's answer"));
  if (!options.follow || options.client.json) {
    const int printed = print_whole(submitted_line(*answer, options));
    if (printed != 0 || !options.follow) return printed;
  } else {
    print_line(id + (answer->replayed ? " was submitted before" : " submitted"));
  }
  return follow_submitted(client, *watch, id, options.client);
}

}  // namespace

int submit_verb(const std::vector<std::string>& words) {
  SubmitOptions options;
  CLI::App app(
      "Submits a job: a repository that is cloned, built, prepared with the internet it may "
      "reach, and run without any. Prints the job's id.",
      "airlock submit");
  describe(app, options);
  if (const auto code = parse_verb(app, "submit", words)) return *code;
  const auto code = submit(options);
  return code ? *code : end_with(code.error());
}

}  // namespace airlock::apps
