// Service: what the routes of `airlock serve` answer.
//
// One route table (service.cc) says for each path and method who may ask and what answers. Native
// routes answer errors as {"error":{code,message,hint,field}}, drop-in routes in the shape of their
// contract. Lives on the server's thread; runs are driven by RunService's threads, and what is
// large is read, written and compressed by Background's.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>

#include "http/access.h"
#include "http/amon_api.h"
#include "http/background.h"
#include "http/metrics_handler.h"
#include "http/path_pattern.h"
#include "http/run_catalog.h"
#include "http/run_request.h"
#include "http/server/exchange.h"
#include "http/swissbrain_api.h"
#include "runner/jobs/job_api.h"
#include "runner/run_service.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace airlock::http {

struct ServiceOptions {
  AccessPolicy access;
  RunLimitsPolicy limits;
  AmonLimits amon;
  SwissbrainLimits swissbrain;
  std::string version;
  std::size_t files_held_max = 4'096;  // by all requests together
  bool metrics_need_key = true;        // if there is one
};

class Service final : public Handler {
 public:
  // All borrowed for as long as this lives.
  Service(runner::RunService& runs, const RunCatalog& catalog, const telemetry::Log& log,
          telemetry::Metrics& metrics, ServiceOptions options);

  // The routes of jobs answer from here on; borrowed for as long as this lives. Without it they say
  // that there are none.
  void serve_jobs(runner::JobApi& jobs) { jobs_ = &jobs; }
  // Before the first request.
  void serve_metrics(MetricsPage page) { metrics_page_ = std::move(page); }

  // The backend has run something, and nobody has asked us to end.
  void set_ready(bool ready) { ready_ = ready; }
  // Streams that never end by themselves end.
  void drain() { draining_ = true; }

  bool admits(const Request& head, Response* refusal) override;
  boost::asio::awaitable<Response> handle(Exchange& exchange) override;
  Response refuse(int status, std::string_view message) override;
  void report(std::string_view event, std::string_view reason) override;

 private:
  struct Route;
  static const Route kRoutes[];
  static const Route* find_route(const Request& head);
  static std::string methods_of(std::string_view path);  // "GET, HEAD"; empty for no path of ours
  static std::string_view path_of(const Route& route);
  static Response not_served(const Request& head);
  bool is_open(const Route& route) const;
  std::optional<Response> find_refusal(const Request& head) const;
  class Answering;
  boost::asio::awaitable<Response> handle_dressed(Exchange& exchange, const Route* route);

  class HeldFiles;
  boost::asio::awaitable<Response> health(Exchange& exchange);
  boost::asio::awaitable<Response> ready(Exchange& exchange);
  boost::asio::awaitable<Response> languages(Exchange& exchange);
  boost::asio::awaitable<Response> run(Exchange& exchange);
  boost::asio::awaitable<Response> run_stream(Exchange& exchange);
  boost::asio::awaitable<Response> run_amon(Exchange& exchange);
  boost::asio::awaitable<Response> execute_swissbrain(Exchange& exchange);

  boost::asio::awaitable<Response> root(Exchange& exchange);
  boost::asio::awaitable<Response> metrics(Exchange& exchange);
  boost::asio::awaitable<Response> v1_health(Exchange& exchange);
  boost::asio::awaitable<Response> runner_status(Exchange& exchange);
  boost::asio::awaitable<Response> submit_job(Exchange& exchange);
  boost::asio::awaitable<Response> list_jobs(Exchange& exchange);
  boost::asio::awaitable<Response> completed_jobs(Exchange& exchange);
  boost::asio::awaitable<Response> get_job(Exchange& exchange);
  boost::asio::awaitable<Response> cancel_job(Exchange& exchange);
  boost::asio::awaitable<Response> job_results(Exchange& exchange);
  boost::asio::awaitable<Response> job_metrics(Exchange& exchange);
  boost::asio::awaitable<Response> job_logs(Exchange& exchange);
  boost::asio::awaitable<Response> job_log_tail(Exchange& exchange);
  boost::asio::awaitable<Response> job_outputs(Exchange& exchange);
  boost::asio::awaitable<Response> job_output(Exchange& exchange);
  boost::asio::awaitable<Response> job_receipt(Exchange& exchange);
  boost::asio::awaitable<Response> receipt_key(Exchange& exchange);
  boost::asio::awaitable<Response> events(Exchange& exchange);
  boost::asio::awaitable<ApiResult<model::JobRecord>> find_job(Exchange& exchange);
  boost::asio::awaitable<boost::json::value> read_metrics(const model::JobRecord& record);
  boost::asio::awaitable<Response> follow_log(Exchange& exchange, model::JobRecord record,
                                              std::string step);

  runner::RunService& runs_;
  const RunCatalog& catalog_;
  const telemetry::Log& log_;
  telemetry::Metrics& metrics_;
  ServiceOptions options_;
  MetricsPage metrics_page_;
  runner::JobApi* jobs_ = nullptr;
  Background background_;
  std::size_t files_held_ = 0;  // by requests that wait or run; each is a descriptor
  bool ready_ = false;
  bool draining_ = false;
};

}  // namespace airlock::http
