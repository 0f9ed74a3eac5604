#include "http/service.h"

#include <boost/json/object.hpp>
#include <chrono>
#include <cmath>
#include <utility>

#include "http/answers.h"
#include "http/compression.h"
#include "http/cors.h"
#include "http/job_json.h"
#include "http/json_text.h"

namespace airlock::http {
namespace {

namespace asio = boost::asio;

using std::chrono::steady_clock;

// Of requests for a path that no route has: as many as clients can think of.
constexpr std::string_view kNoEndpoint = "(none)";
constexpr std::string_view kNotReady = "no run has worked yet, or the service is ending";

void append(std::vector<Header>& headers, std::vector<Header> more) {
  for (Header& header : more) headers.push_back(std::move(header));
}

// What has become of the runs since this daemon started.
boost::json::object runs_json(const runner::RunServiceStats& stats) {
  boost::json::object outcomes;
  for (std::size_t i = 0; i < stats.outcomes.size(); ++i) {
    if (stats.outcomes[i] == 0) continue;
    outcomes[model::outcome_name(static_cast<model::OutcomeKind>(i))] = stats.outcomes[i];
  }
  return {{"started", stats.started},       {"finished", stats.finished},
          {"failed", stats.failed},         {"refused", stats.refused},
          {"waited_out", stats.waited_out}, {"cancelled", stats.cancelled},
          {"outcomes", std::move(outcomes)}};
}

std::string amon_refusal(const ApiError& error) {
  return error.status == 401 ? R"({"detail":"unauthorized"})" : amon_error_json(error);
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
    {"GET", "/", &Service::root, true},
    {"GET", "/metrics", &Service::metrics},
    {"GET", "/v1/health", &Service::v1_health, true},
    {"GET", "/v1/status", &Service::runner_status, false, job_error_json},
    {"POST", "/v1/jobs/submit", &Service::submit_job, false, job_error_json},
    {"GET", "/v1/jobs", &Service::list_jobs},
    {"GET", "/v1/jobs/{id}", &Service::get_job, false, job_error_json},
    {"DELETE", "/v1/jobs/{id}", &Service::cancel_job, false, job_error_json},
    {"GET", "/v1/jobs/{id}/results", &Service::job_results, false, job_error_json},
    {"GET", "/v1/jobs/{id}/metrics", &Service::job_metrics, false, job_error_json},
    {"GET", "/v1/jobs/{id}/logs", &Service::job_logs},
    {"GET", "/v1/jobs/{id}/outputs", &Service::job_outputs},
    {"GET", "/v1/jobs/{id}/outputs/{path...}", &Service::job_output},
    {"GET", "/v1/jobs/{id}/receipt", &Service::job_receipt},
    {"GET", "/v1/logs/{id}/tail", &Service::job_log_tail, false, job_error_json},
    {"GET", "/v1/dashboard/jobs/completed", &Service::completed_jobs, false, job_error_json},
    {"GET", "/v1/receipts/key", &Service::receipt_key},
    {"GET", "/v1/events", &Service::events},
};
// clang-format on

Service::Service(runner::RunService& runs, const RunCatalog& catalog, const telemetry::Log& log,
                 telemetry::Metrics& metrics, ServiceOptions options)
    : runs_(runs), catalog_(catalog), log_(log), metrics_(metrics), options_(std::move(options)) {}

// Counts one request when its answer is known. What ends by an exception is answered with 500.
class Service::Answering {
 public:
  Answering(telemetry::Metrics& metrics, const Request& head, const Route* route)
      : metrics_(metrics),
        method_(head.method),
        endpoint_(route != nullptr ? route->path : kNoEndpoint),
        began_(steady_clock::now()) {}
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;
  ~Answering() {
    metrics_.request_answered({.method = method_,
                               .endpoint = endpoint_,
                               .status = status_,
                               .took = steady_clock::now() - began_});
  }

  void end(const Response& response) { status_ = response.status; }

 private:
  telemetry::Metrics& metrics_;
  const std::string method_;
  const std::string_view endpoint_;
  const steady_clock::time_point began_;
  int status_ = 500;
};

const Service::Route* Service::find_route(const Request& head) {
  const std::string_view method = head.method == "HEAD" ? "GET" : std::string_view(head.method);
  for (const Route& route : kRoutes) {
    if (route.method == method && match_path(route.path, head.path)) return &route;
  }
  return nullptr;
}

bool Service::admits(const Request& head, Response* refusal) {
  std::optional<Response> refused = find_refusal(head);
  if (!refused) return true;
  Answering(metrics_, head, find_route(head)).end(*refused);
  if (refused->status == 401) {
    metrics_.key_refused(brings_key(head) ? telemetry::KeyRefusal::kInvalid
                                          : telemetry::KeyRefusal::kMissing);
  }
  *refusal = std::move(*refused);
  append(refusal->headers, cors_headers(options_.access, head));
  return false;
}

bool Service::is_open(const Route& route) const {
  return route.open || (route.answer == &Service::metrics && !options_.metrics_need_key);
}

std::optional<Response> Service::find_refusal(const Request& head) const {
  const Route* const route = find_route(head);
  const bool preflight = is_preflight(options_.access, head);
  const bool open = preflight || (route != nullptr && is_open(*route));
  const ErrorShape shape = route != nullptr ? route->errors : error_json;
  // Who has no key learns nothing about what there is.
  const auto error =
      open ? check_open_access(options_.access, head) : check_access(options_.access, head);
  if (error) return error_response(*error, shape);
  if (preflight && !methods_of(head.path).empty()) return std::nullopt;
  if (route == nullptr) return not_served(head);
  const std::string_view coding = head.header("Content-Encoding");
  if (coding.empty() || equals_ignoring_case(coding, "identity")) return std::nullopt;
  return error_response({.status = 415,
                         .code = "content_encoding",
                         .message = "bodies are read as they are, not compressed",
                         .hint = "send the body without Content-Encoding",
                         .field = "Content-Encoding"},
                        shape);
}

std::string Service::methods_of(std::string_view path) {
  std::string methods;
  for (const Route& route : kRoutes) {
    if (!match_path(route.path, path)) continue;
    if (!methods.empty()) methods += ", ";
    methods += route.method == "GET" ? "GET, HEAD" : route.method;
  }
  return methods;
}

std::string_view Service::path_of(const Route& route) { return route.path; }

Response Service::not_served(const Request& head) {
  const std::string message = head.method + " " + head.path + " is not served";
  if (const std::string allowed = methods_of(head.path); !allowed.empty()) {
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
  if (status != 500) metrics_.request_unread(status);  // an exception's: counted where it was
  return refused_response(status, message);
}

void Service::report(std::string_view event, std::string_view reason) {
  log_.error(event, {{"reason", reason}});
}

// admits() has found a route, or a preflight.
asio::awaitable<Response> Service::handle(Exchange& exchange) {
  const Request& head = exchange.request();
  const Route* const route = find_route(head);
  const bool plain = options_.access.origins.empty() && head.header("Accept-Encoding").empty();
  Answering answering(metrics_, head, route);
  Response response;
  if (plain && route != nullptr) {
    response = co_await (this->*route->answer)(exchange);
  } else {
    response = co_await handle_dressed(exchange, route);
  }
  answering.end(response);
  co_return response;
}

// For browsers and the like: with what they want to know, and compressed.
asio::awaitable<Response> Service::handle_dressed(Exchange& exchange, const Route* route) {
  const Request& head = exchange.request();
  Response response;
  if (route != nullptr) {
    response = co_await (this->*route->answer)(exchange);
  } else {
    response = preflight_response(head, methods_of(head.path));
  }
  append(response.headers, cors_headers(options_.access, head));
  co_await compress_for(head, response, background_);
  co_return response;
}

// The members "docker" and "concurrency" are what clients of Amon's runner look at; "docker" tells
// of what runs programs here.
asio::awaitable<Response> Service::health(Exchange&) {
  const runner::RunServiceStats stats = runs_.stats();
  boost::json::value not_ready;
  if (!ready_) not_ready = kNotReady;
  boost::json::object health;
  health["status"] = "ok";
  health["service"] = "airlock";
  health["version"] = options_.version;
  health["docker"] = boost::json::object{{"available", ready_},
                                         {"image", "airlock-direct"},
                                         {"image_present", ready_},
                                         {"error", not_ready}};
  const double utilization = static_cast<double>(stats.running) / stats.slots;
  health["concurrency"] =
      boost::json::object{{"max", stats.slots},
                          {"inflight", stats.running},
                          {"waiting", stats.waiting},
                          {"utilization", std::round(utilization * 10'000) / 10'000}};
  health["runs"] = runs_json(stats);
  co_return json_response(200, json_text(health));
}

asio::awaitable<Response> Service::metrics(Exchange&) {
  return metrics_response(metrics_page_, background_);
}

asio::awaitable<Response> Service::ready(Exchange&) {
  if (!ready_) {
    co_return error_response({.status = 503,
                              .code = "not_ready",
                              .message = std::string(kNotReady),
                              .hint = {},
                              .field = {}});
  }
  co_return json_response(200, R"({"status":"ready"})");
}

asio::awaitable<Response> Service::languages(Exchange&) {
  std::string text;
  // Versions may have to be asked for, which takes a second and would stop everybody else.
  co_await background_.run([&] { text = catalog_.languages_json(); });
  co_return json_response(200, std::move(text));
}

}  // namespace airlock::http
