// The routes of Service that are about jobs. Those of the contract answer errors in its shape, the
// others in ours.
#include <unistd.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <utility>

#include "http/answers.h"
#include "http/await_done.h"
#include "http/job_json.h"
#include "http/job_request.h"
#include "http/json_text.h"
#include "http/query.h"
#include "http/service.h"
#include "http/text_encoding.h"

namespace airlock::http {
namespace {

namespace asio = boost::asio;
using boost::json::array;
using boost::json::object;

constexpr std::string_view kJobPath = "/v1/jobs/{id}";
constexpr std::string_view kMetricsFile = "metrics.json";
constexpr std::size_t kMetricsBytesMax = 256 * 1024;

ApiError no_jobs() {
  return {.status = 503,
          .code = "jobs_off",
          .message = "this service takes no jobs",
          .hint = "if nobody set jobs to false, its log says why: serve.no_jobs",
          .field = {}};
}

ApiError no_such_job(const std::string& id) {
  return {.status = 404, .code = "not_found", .message = "Job not found: " + printable_utf8(id)};
}

// What comes from the store or the runner; the contract's clients know 400 and 422.
ApiError job_error(const base::Error& error) {
  ApiError api = from_error(error);
  const bool refused = error.code == base::ErrorCode::kInvalidArgument ||
                       error.code == base::ErrorCode::kPermissionDenied;
  if (refused) api.status = 422;
  return api;
}

std::string first_value(std::string_view pattern, const Request& request) {
  const auto values = match_path(pattern, request.path);
  return values && !values->empty() ? values->front() : std::string();
}

ApiResult<std::vector<model::JobState>> read_states(const Request& request) {
  std::vector<model::JobState> states;
  const std::string text = query_value(request.query, "status").value_or("");
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const auto state = model::find_job_state(rest.substr(0, comma));
    if (!state) {
      return refuse_field("status", "status has a state that does not exist",
                          "pending, cloning, building, prep, inference, completed, failed, "
                          "timeout, cancelled; several with commas");
    }
    states.push_back(*state);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return states;
}

ApiResult<store::JobFilter> read_filter(const Request& request) {
  store::JobFilter filter;
  AIRLOCK_ASSIGN(filter.states, read_states(request));
  AIRLOCK_ASSIGN(const std::uint64_t limit,
                 query_number(request.query, "limit", 100, store::kListMax));
  filter.limit = std::max<std::uint64_t>(limit, 1);
  filter.cursor = query_value(request.query, "cursor").value_or("");
  filter.validator_hotkey = query_value(request.query, "validator");
  filter.miner_hotkey = query_value(request.query, "miner");
  filter.weight_class = query_value(request.query, "weight_class");
  filter.text = query_value(request.query, "text");
  return filter;
}

object counts_json(const store::JobCounts& counts) {
  object json;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    json[model::job_state_name(static_cast<model::JobState>(i))] = counts[i];
  }
  return json;
}

std::uint64_t count_of(const store::JobCounts& counts, model::JobState state) {
  return counts[static_cast<std::size_t>(state)];
}

object status_json(const runner::RunnerStatus& status) {
  using enum model::JobState;
  std::uint64_t all = 0;
  for (const std::uint64_t count : status.counts) all += count;
  array active;
  for (const std::string& id : status.active) active.emplace_back(id);
  return {{"runner_id", status.runner_id},
          {"status", status.operational ? "operational" : "stopped"},
          {"total_gpus", status.gpus_total},
          {"available_gpus", status.gpus_free},
          {"allocated_gpus", status.gpus_total - std::min(status.gpus_total, status.gpus_free)},
          {"queue_depth", count_of(status.counts, kPending)},
          {"active_jobs", status.active.size()},
          {"total_submitted", all},
          {"total_completed", count_of(status.counts, kCompleted)},
          {"total_failed", count_of(status.counts, kFailed) + count_of(status.counts, kTimeout)},
          {"execution_mode", status.execution_mode},
          {"active_job_ids", std::move(active)},
          {"gpu_note", text_or_null(status.gpu_note)},
          {"cpu_cores_total", status.total.cpu_millis / 1000.0},
          {"cpu_cores_free", status.free.cpu_millis / 1000.0},
          {"memory_bytes_total", status.total.memory.count()},
          {"memory_bytes_free", status.free.memory.count()},
          {"disk_bytes_total", status.total.disk.count()},
          {"disk_bytes_free", status.free.disk.count()},
          {"jobs", counts_json(status.counts)}};
}

bool has_result(model::JobState state) {
  return state == model::JobState::kCompleted || state == model::JobState::kFailed ||
         state == model::JobState::kTimeout;
}

model::WallTime now() {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

}  // namespace

asio::awaitable<Response> Service::root(Exchange&) {
  co_return json_response(
      200, json_text(object{
               {"service", "Airlock"}, {"version", options_.version}, {"status", "operational"}}));
}

asio::awaitable<Response> Service::v1_health(Exchange&) {
  co_return json_response(
      200, json_text(object{{"status", "healthy"}, {"timestamp", naive_time(now())}}));
}

asio::awaitable<Response> Service::runner_status(Exchange& exchange) {
  if (jobs_ == nullptr) co_return error_response(no_jobs(), job_error_json);
  const auto status = co_await await_done<runner::RunnerStatus>(
      exchange.executor(), [&](auto done) { jobs_->status(std::move(done)); });
  if (!status) co_return error_response(job_error(status.error()), job_error_json);
  co_return json_response(200, json_text(status_json(*status)));
}

asio::awaitable<Response> Service::submit_job(Exchange& exchange) {
  if (jobs_ == nullptr) co_return error_response(no_jobs(), job_error_json);
  auto spec = parse_job_request(exchange.request().body);
  if (!spec) co_return error_response(spec.error(), job_error_json);
  runner::JobSubmission submission{
      .spec = std::move(*spec),
      .owner = {},
      .idempotency_key = std::string(exchange.request().header("Idempotency-Key"))};
  const auto submitted = co_await await_done<runner::JobSubmitted>(
      exchange.executor(),
      [&](auto done) { jobs_->submit(std::move(submission), std::move(done)); });
  if (!submitted) co_return error_response(job_error(submitted.error()), job_error_json);
  Response response = json_response(
      201, submitted_json(submitted->record, submitted->position, submitted->estimated_start));
  response.headers.push_back({"Location", "/v1/jobs/" + submitted->record.id});
  if (submitted->replayed) response.headers.push_back({"Idempotency-Replayed", "true"});
  co_return response;
}

asio::awaitable<Response> Service::list_jobs(Exchange& exchange) {
  if (jobs_ == nullptr) co_return error_response(no_jobs());
  auto filter = read_filter(exchange.request());
  if (!filter) co_return error_response(filter.error());
  const auto page = co_await await_done<store::JobPage>(
      exchange.executor(), [&](auto done) { jobs_->list(std::move(*filter), std::move(done)); });
  if (!page) co_return error_response(from_error(page.error()));
  array jobs;
  for (const model::JobRecord& record : page->jobs) jobs.push_back(job_summary_json(record));
  co_return json_response(
      200, json_text(object{{"jobs", std::move(jobs)}, {"next", text_or_null(page->next)}}));
}

// The newer runner's dashboard counts pages by offset.
asio::awaitable<Response> Service::completed_jobs(Exchange& exchange) {
  if (jobs_ == nullptr) co_return error_response(no_jobs(), job_error_json);
  const auto limit = query_number(exchange.request().query, "limit", 50, store::kListMax);
  const auto offset = query_number(exchange.request().query, "offset", 0, store::kListMax);
  if (!limit) co_return error_response(limit.error(), job_error_json);
  if (!offset) co_return error_response(offset.error(), job_error_json);
  using enum model::JobState;
  store::JobFilter filter;
  filter.states = {kCompleted, kFailed, kTimeout, kCancelled};
  filter.limit = std::clamp<std::uint64_t>(*limit + *offset, 1, store::kListMax);
  const auto page = co_await await_done<store::JobPage>(
      exchange.executor(), [&](auto done) { jobs_->list(filter, std::move(done)); });
  const auto status = co_await await_done<runner::RunnerStatus>(
      exchange.executor(), [&](auto done) { jobs_->status(std::move(done)); });
  if (!page) co_return error_response(job_error(page.error()), job_error_json);
  if (!status) co_return error_response(job_error(status.error()), job_error_json);
  array jobs;
  for (std::size_t i = *offset; i < page->jobs.size() && jobs.size() < *limit; ++i) {
    object job = job_summary_json(page->jobs[i]);
    job["execution_time"] = execution_seconds(page->jobs[i]);
    jobs.push_back(std::move(job));
  }
  std::uint64_t total = 0;
  for (const model::JobState state : filter.states) total += count_of(status->counts, state);
  co_return json_response(
      200,
      json_text(object{
          {"jobs", std::move(jobs)}, {"total", total}, {"limit", *limit}, {"offset", *offset}}));
}

// The job that the path names; every pattern has its id first.
asio::awaitable<ApiResult<model::JobRecord>> Service::find_job(Exchange& exchange) {
  if (jobs_ == nullptr) co_return std::unexpected(no_jobs());
  const Route* const route = find_route(exchange.request());
  const std::string id = first_value(path_of(*route), exchange.request());
  auto found = co_await await_done<std::optional<model::JobRecord>>(
      exchange.executor(), [&](auto done) { jobs_->find(id, std::move(done)); });
  if (!found) co_return std::unexpected(job_error(found.error()));
  if (!*found) co_return std::unexpected(no_such_job(id));
  co_return std::move(**found);
}

asio::awaitable<Response> Service::get_job(Exchange& exchange) {
  const auto record = co_await find_job(exchange);
  if (!record) co_return error_response(record.error(), job_error_json);
  co_return json_response(200, json_text(job_json(*record)));
}

asio::awaitable<Response> Service::cancel_job(Exchange& exchange) {
  if (jobs_ == nullptr) co_return error_response(no_jobs(), job_error_json);
  const std::string id = first_value(kJobPath, exchange.request());
  const auto head = co_await await_done<store::JobHead>(
      exchange.executor(), [&](auto done) { jobs_->cancel(id, std::move(done)); });
  if (!head && head.error().code == base::ErrorCode::kNotFound) {
    co_return error_response(no_such_job(id), job_error_json);
  }
  if (!head) co_return error_response(job_error(head.error()), job_error_json);
  const bool ended_otherwise =
      model::is_terminal(head->state) && head->state != model::JobState::kCancelled;
  const std::string_view status =
      ended_otherwise ? model::job_state_name(head->state) : std::string_view("cancelled");
  co_return json_response(200, json_text(object{{"job_id", id}, {"status", status}}));
}

// What the program left in its file of metrics; null if it is none, or no JSON.
asio::awaitable<boost::json::value> Service::read_metrics(const model::JobRecord& record) {
  boost::json::value metrics = nullptr;
  co_await background_.run([&] {
    const auto output = jobs_->open_output(record.id, std::string(kMetricsFile));
    if (!output || output->size.count() > kMetricsBytesMax) return;
    std::string text(output->size.count(), '\0');
    // Why safe: `text` is as large as what may be read.
    const ssize_t count = ::pread(output->content.get(), text.data(), text.size(), 0);
    if (count != std::ssize(text)) return;
    if (auto parsed = parse_json(text)) metrics = std::move(*parsed);
  });
  co_return metrics;
}

asio::awaitable<Response> Service::job_results(Exchange& exchange) {
  const auto record = co_await find_job(exchange);
  if (!record) co_return error_response(record.error(), job_error_json);
  if (!has_result(record->state)) {
    co_return error_response({.status = 400,
                              .message = "Results not available. Job status: " +
                                         std::string(model::job_state_name(record->state))},
                             job_error_json);
  }
  co_return json_response(200, job_results_json(*record, co_await read_metrics(*record)));
}

asio::awaitable<Response> Service::job_metrics(Exchange& exchange) {
  const auto record = co_await find_job(exchange);
  if (!record) co_return error_response(record.error(), job_error_json);
  if (record->state != model::JobState::kCompleted) {
    co_return error_response({.status = 400,
                              .message = "Job metrics not available. Job status: " +
                                         std::string(model::job_state_name(record->state))},
                             job_error_json);
  }
  boost::json::value metrics = co_await read_metrics(*record);
  if (metrics.is_null()) {
    co_return error_response({.status = 404, .message = "Metrics not found for job: " + record->id},
                             job_error_json);
  }
  co_return json_response(
      200, json_text(object{{"job_id", record->id},
                            {"status", model::job_state_name(record->state)},
                            {"metrics", std::move(metrics)},
                            {"completed_at", naive_time_or_null(record->completed_at)}}));
}

asio::awaitable<Response> Service::job_receipt(Exchange& exchange) {
  const auto record = co_await find_job(exchange);
  if (!record) co_return error_response(record.error());
  // The file is there before the end of the job, and may be written again until then.
  base::Result<std::string> receipt = base::fail(base::ErrorCode::kNotFound, "none yet");
  if (record->has_receipt) {
    co_await background_.run([&] { receipt = jobs_->receipt(record->id); });
  }
  if (!receipt) {
    co_return error_response({.status = 404,
                              .code = "not_found",
                              .message = "the job " + record->id + " has no receipt",
                              .hint = model::is_terminal(record->state)
                                          ? "it was cancelled before it began"
                                          : "a job has one when it has ended",
                              .field = {}});
  }
  co_return json_response(200, std::move(*receipt));
}

asio::awaitable<Response> Service::receipt_key(Exchange&) {
  if (jobs_ == nullptr) co_return error_response(no_jobs());
  co_return Response{.body = jobs_->receipt_key(), .content_type = "application/x-pem-file"};
}

}  // namespace airlock::http
