#include "http/service.h"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "base/ids.h"
#include "http/amon_result.h"
#include "http/json_text.h"
#include "http/result_json.h"
#include "http/run_waiter.h"
#include "http/server_timing.h"
#include "http/shell_status.h"

namespace airlock::http {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

constexpr std::string_view kRetryAfterSeconds = "1";

Response json_response(int status, std::string body) {
  Response response{.status = status, .body = std::move(body)};
  response.body += '\n';
  if (status == 429 || status == 503) {
    response.headers.push_back({"Retry-After", std::string(kRetryAfterSeconds)});
  }
  if (status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  return response;
}

using ErrorShape = std::string (*)(const ApiError&);

Response error_response(const ApiError& error, ErrorShape shape = error_json) {
  return json_response(error.status, shape(error));
}

// Versions may have to be asked for, which takes a second and would stop everybody else.
asio::awaitable<std::string> describe_languages(const RunCatalog& catalog) {
  co_return catalog.languages_json();
}

std::string amon_refusal(const ApiError& error) {
  return error.status == 401 ? R"({"detail":"unauthorized"})" : amon_error_json(error);
}

std::shared_ptr<runner::Submission> make_submission(ParsedRun parsed) {
  auto submission = std::make_shared<runner::Submission>();
  submission->request = std::move(parsed.request);
  submission->keep_alive = std::make_shared<base::UniqueFd>(std::move(parsed.stdin_content));
  return submission;
}

// 32 hexadecimal digits, as Amon's clients know them.
std::string random_hex_id() {
  base::SystemRandom random;
  std::array<std::byte, 16> bytes;
  random.fill(bytes);
  std::string text;
  for (const std::byte byte : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

// That runner knows "busy" and "broken", and nothing between.
ApiError amon_error_of(const base::Error& error) {
  if (error.code == base::ErrorCode::kBusy) {
    return {.status = 429,
            .code = "busy",
            .message = "runner busy, please retry",
            .hint = {},
            .field = {}};
  }
  return {.status = 500,
          .code = "internal",
          .message = "runner internal error",
          .hint = {},
          .field = {}};
}

AmonFinishEvent amon_finish_of(const RunOutcome& outcome) {
  AmonFinishEvent event;
  if (!outcome) return event;
  event.exit_code = shell_status(outcome->outcome);
  event.timed_out = is_timeout(outcome->outcome);
  event.output_files = outcome->files.size();
  for (const model::OutputFile& file : outcome->files) event.output_bytes += file.content.size();
  return event;
}

// `began`: the request was there; `submitted`: it had been read.
Response run_response(const RunOutcome& outcome, steady_clock::time_point began,
                      steady_clock::time_point submitted) {
  if (!outcome) return error_response(from_error(outcome.error()));
  Response response = json_response(200, result_json(*outcome));
  const model::RunTimings& run = outcome->timings;
  response.headers.push_back(
      {"Server-Timing", server_timing({.parse = submitted - began,
                                       .run = run,
                                       .answer = steady_clock::now() - submitted - run.total()})});
  return response;
}

}  // namespace

// Everything that can be asked for. Whoever adds a route adds a line, and nothing else knows paths.
struct Service::Route {
  std::string_view method;
  std::string_view path;
  asio::awaitable<Response> (Service::*answer)(Exchange&);
  bool open = false;  // needs no key
  ErrorShape errors = error_json;
};

// clang-format off
const Service::Route Service::kRoutes[] = {
    {"GET", "/health", &Service::health, true},
    {"GET", "/ready", &Service::ready, true},
    {"GET", "/v1/languages", &Service::languages},
    {"POST", "/v1/run", &Service::run},
    {"POST", "/v1/run/stream", &Service::run_stream},
    {"POST", "/run", &Service::run_amon, false, amon_refusal},
    {"POST", "/execute", &Service::execute_swissbrain, false, swissbrain_error_json},
};
// clang-format on

// Counts a request's files for as long as it lives.
class Service::HeldFiles {
 public:
  HeldFiles(Service& service, const ParsedRun& run)
      : service_(service), count_(run.request.files.size() + 1) {
    service_.files_held_ += count_;
  }
  HeldFiles(const HeldFiles&) = delete;
  HeldFiles& operator=(const HeldFiles&) = delete;
  ~HeldFiles() { service_.files_held_ -= count_; }

  std::optional<ApiError> too_many() const {
    if (service_.files_held_ <= service_.options_.files_held_max) return std::nullopt;
    return ApiError{.status = 429,
                    .code = "busy",
                    .message = "requests that wait hold as many files as the service may have open",
                    .hint = "come back later"};
  }

 private:
  Service& service_;
  const std::size_t count_;
};

Service::Service(runner::RunService& runs, const RunCatalog& catalog, const telemetry::Log& log,
                 ServiceOptions options)
    : runs_(runs), catalog_(catalog), log_(log), options_(std::move(options)) {}

const Service::Route* Service::find_route(const Request& head) {
  const std::string_view method = head.method == "HEAD" ? "GET" : std::string_view(head.method);
  for (const Route& route : kRoutes) {
    if (route.path == head.path && route.method == method) return &route;
  }
  return nullptr;
}

bool Service::admits(const Request& head, Response* refusal) {
  const Route* const route = find_route(head);
  const bool open = route != nullptr && route->open;
  // Who has no key learns nothing about what there is.
  const auto error =
      open ? check_open_access(options_.access, head) : check_access(options_.access, head);
  if (error) {
    *refusal = error_response(*error, route != nullptr ? route->errors : error_json);
    return false;
  }
  if (route != nullptr) return true;
  *refusal = not_served(head);
  return false;
}

Response Service::not_served(const Request& head) {
  const std::string message = head.method + " " + head.path + " is not served";
  for (const Route& route : kRoutes) {
    if (route.path != head.path) continue;
    const std::string allowed = route.method == "GET" ? "GET, HEAD" : std::string(route.method);
    Response response = error_response({.status = 405,
                                        .code = "method_not_allowed",
                                        .message = message,
                                        .hint = "this path has " + allowed});
    response.headers.push_back({"Allow", allowed});
    return response;
  }
  return error_response({.status = 404,
                         .code = "not_found",
                         .message = message,
                         .hint = "to run a program: POST /v1/run"});
}

Response Service::refuse(int status, std::string_view message) {
  ApiError error{.status = status,
                 .code = status == 408   ? "timeout"
                         : status == 429 ? "busy"
                         : status == 413 ? "too_large"
                         : status == 500 ? "internal"
                                         : "malformed_request",
                 .message = std::string(message),
                 .hint = {},
                 .field = {}};
  return error_response(error);
}

asio::awaitable<Response> Service::handle(Exchange& exchange) {
  return (this->*find_route(exchange.request())->answer)(exchange);  // admits() has found it
}

// The members "docker" and "concurrency" are what clients of Amon's runner look at; "docker" tells
// of what runs programs here.
asio::awaitable<Response> Service::health(Exchange&) {
  const runner::RunServiceStats stats = runs_.stats();
  boost::json::object health;
  health["status"] = "ok";
  health["service"] = "airlock";
  health["version"] = options_.version;
  health["docker"] = boost::json::object{{"available", ready_},
                                         {"image", "airlock-direct"},
                                         {"image_present", ready_},
                                         {"error", nullptr}};
  const double utilization = static_cast<double>(stats.running) / stats.slots;
  health["concurrency"] =
      boost::json::object{{"max", stats.slots},
                          {"inflight", stats.running},
                          {"waiting", stats.waiting},
                          {"utilization", std::round(utilization * 10'000) / 10'000}};
  co_return json_response(200, json_text(health));
}

asio::awaitable<Response> Service::ready(Exchange&) {
  if (!ready_) {
    co_return error_response({.status = 503,
                              .code = "not_ready",
                              .message = "no run has worked yet, or the service is ending",
                              .hint = {},
                              .field = {}});
  }
  co_return json_response(200, R"({"status":"ready"})");
}

asio::awaitable<Response> Service::languages(Exchange&) {
  co_return json_response(
      200, co_await asio::co_spawn(background_, describe_languages(catalog_), asio::use_awaitable));
}

asio::awaitable<Response> Service::run(Exchange& exchange) {
  const auto began = steady_clock::now();
  auto parsed = parse_run(exchange.take_body(), catalog_, options_.limits);
  if (!parsed) co_return error_response(parsed.error());
  const HeldFiles held(*this, *parsed);
  if (const auto error = held.too_many()) co_return error_response(*error);
  auto submission = make_submission(std::move(*parsed));
  const auto submitted = steady_clock::now();
  const RunOutcome outcome = co_await await_run(exchange, runs_, std::move(submission));
  co_return run_response(outcome, began, submitted);
}

asio::awaitable<Response> Service::run_stream(Exchange& exchange) {
  auto parsed = parse_run(exchange.take_body(), catalog_, options_.limits);
  if (!parsed) co_return error_response(parsed.error());
  const HeldFiles held(*this, *parsed);
  if (const auto error = held.too_many()) co_return error_response(*error);
  StreamedRun streamed = co_await stream_run(exchange, runs_, make_submission(std::move(*parsed)));
  if (streamed.refused) co_return error_response(from_error(*streamed.refused));
  co_return Response{};
}

asio::awaitable<Response> Service::run_amon(Exchange& exchange) {
  auto parsed = parse_amon_run(exchange.take_body(), catalog_, options_.amon);
  if (!parsed) co_return error_response(parsed.error(), amon_error_json);
  const AmonIds ids{
      .job_id = random_hex_id(),
      .request_id = parsed->request_id.empty() ? random_hex_id() : parsed->request_id};
  auto submission = make_submission(std::move(parsed->run));
  submission->when_busy = runner::WhenBusy::kRefuse;
  log_.raw(amon_start_event_json(
      {.ids = ids, .timeout_s = parsed->timeout_s, .code_bytes = parsed->code_bytes}));
  const auto started = std::chrono::steady_clock::now();
  const RunOutcome outcome = co_await await_run(exchange, runs_, submission);
  AmonFinishEvent finish = amon_finish_of(outcome);
  finish.ids = ids;
  finish.input_files = parsed->input_files;
  finish.input_bytes = parsed->input_bytes;
  finish.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                           std::chrono::steady_clock::now() - started)
                           .count();
  auto body = outcome ? amon_result_json(ids, *outcome, options_.amon)
                      : ApiResult<std::string>(std::unexpected(amon_error_of(outcome.error())));
  finish.ok = body.has_value();
  log_.raw(amon_finish_event_json(finish));
  if (!body) co_return error_response(body.error(), amon_error_json);
  co_return json_response(200, std::move(*body));
}

asio::awaitable<Response> Service::execute_swissbrain(Exchange& exchange) {
  auto parsed = parse_swissbrain_run(exchange.take_body(), catalog_, options_.swissbrain);
  if (!parsed) { co_return error_response(parsed.error(), swissbrain_error_json); }
  const RunOutcome outcome =
      co_await await_run(exchange, runs_, make_submission(std::move(parsed->run)));
  if (!outcome) { co_return error_response(from_error(outcome.error()), swissbrain_error_json); }
  co_return json_response(200, swissbrain_result_json(*outcome));
}

}  // namespace airlock::http
