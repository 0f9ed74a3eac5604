#include "client/job_client.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "artifact/names.h"

namespace airlock::client {
namespace {

using artifact::percent_encode;

ClientRequest get(std::string target) {
  ClientRequest request;
  request.target = std::move(target);
  return request;
}

std::string path_of(const std::string& id) { return "/v1/jobs/" + percent_encode(id); }

std::optional<model::WallTime> time_of(const HttpAnswer& answer,
                                       const artifact::CurlFunctions& curl) {
  const std::string date = answer.header("date");
  const time_t seconds = date.empty() ? -1 : curl.getdate(date.c_str(), nullptr);
  if (seconds < 0) return std::nullopt;
  return model::WallTime(std::chrono::seconds(seconds));
}

void add_query(std::string& target, std::string_view name, const std::string& value) {
  if (value.empty()) return;
  target += target.find('?') == std::string::npos ? '?' : '&';
  target.append(name).append("=").append(percent_encode(value));
}

}  // namespace

base::Status check_job_id(std::string_view id) {
  const bool plain = std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  if (plain && !id.empty() && id.size() <= kJobIdBytesMax) return {};
  return base::fail(base::ErrorCode::kInvalidArgument, artifact::quoted(id) + " is no id of a job",
                    "an id looks like job_0123456789ab; `airlock jobs` lists them");
}

base::Result<JsonAnswer> JobClient::ask(ClientRequest request) const {
  AIRLOCK_ASSIGN(HttpAnswer answer, http_.call(std::move(request)));
  boost::system::error_code failed;
  boost::json::value value = boost::json::parse(answer.body, failed);
  if (failed || !value.is_object()) {
    return base::fail(base::ErrorCode::kProtocol,
                      "the answer of " + options().server.base + " is no JSON object",
                      "is it an Airlock service?");
  }
  return JsonAnswer{.object = std::move(value.get_object()),
                    .text = std::move(answer.body),
                    .server_time = time_of(answer, options().curl),
                    .replayed = answer.header("idempotency-replayed") == "true"};
}

base::Result<JsonAnswer> JobClient::submit(const boost::json::object& request,
                                           std::string idempotency_key) const {
  ClientRequest post{.method = "POST",
                     .target = "/v1/jobs/submit",
                     .body = boost::json::serialize(request),
                     .idempotency_key = std::move(idempotency_key),
                     .last_event_id = {}};
  for (int attempt = 1;; ++attempt) {
    auto answer = ask(post);
    const base::ErrorCode code = answer ? base::ErrorCode{} : answer.error().code;
    // Nobody there at the first attempt is an answer; later it may be a service that comes back.
    const bool broke =
        code == base::ErrorCode::kIo || (code == base::ErrorCode::kUnavailable && attempt > 1);
    if (answer || !broke || attempt == kSubmitAttemptsMax) return answer;
    struct timespec pause{.tv_sec = 0, .tv_nsec = 300'000'000};
    (void)::nanosleep(&pause, nullptr);
  }
}

base::Result<JsonAnswer> JobClient::job(const std::string& id) const {
  AIRLOCK_TRY(check_job_id(id));
  return ask(get(path_of(id)));
}

base::Result<JsonAnswer> JobClient::list(const JobListQuery& query) const {
  std::string target = "/v1/jobs?limit=" + std::to_string(query.limit);
  add_query(target, "status", query.states);
  add_query(target, "validator", query.validator);
  add_query(target, "miner", query.miner);
  add_query(target, "text", query.text);
  add_query(target, "cursor", query.cursor);
  return ask(get(std::move(target)));
}

base::Result<JsonAnswer> JobClient::status() const { return ask(get("/v1/status")); }

base::Result<JsonAnswer> JobClient::cancel(const std::string& id) const {
  AIRLOCK_TRY(check_job_id(id));
  ClientRequest request = get(path_of(id));
  request.method = "DELETE";
  return ask(std::move(request));
}

base::Result<JsonAnswer> JobClient::logs(const std::string& id, const std::string& phase,
                                         std::uint64_t offset) const {
  AIRLOCK_TRY(check_job_id(id));
  std::string target = path_of(id) + "/logs?offset=" + std::to_string(offset);
  add_query(target, "phase", phase);
  return ask(get(std::move(target)));
}

base::Result<std::string> JobClient::receipt(const std::string& id) const {
  AIRLOCK_TRY(check_job_id(id));
  AIRLOCK_ASSIGN(HttpAnswer answer, http_.call(get(path_of(id) + "/receipt")));
  return std::move(answer.body);
}

base::Status JobClient::output(const std::string& id, const std::string& path,
                               const std::function<base::Status(std::string_view)>& take) const {
  AIRLOCK_TRY(check_job_id(id));
  AIRLOCK_TRY(artifact::check_relative_path(path));
  AIRLOCK_TRY(
      http_.download(get(path_of(id) + "/outputs/" + percent_encode(path, "/")),
                     [&take](const HttpAnswer&, std::string_view piece) { return take(piece); }));
  return {};
}

}  // namespace airlock::client
