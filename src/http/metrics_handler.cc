#include "http/metrics_handler.h"

#include <optional>
#include <utility>

#include "http/answers.h"
#include "http/compression.h"
#include "telemetry/metrics.h"

namespace airlock::http {

namespace asio = boost::asio;

asio::awaitable<Response> metrics_response(const MetricsPage& page, Background& background) {
  Response response{.body = {}, .content_type = telemetry::kMetricsContentType};
  co_await background.run([&] { response.body = page(); });
  co_return response;
}

MetricsHandler::MetricsHandler(MetricsPage page, const telemetry::Log& log,
                               MetricsHandlerOptions options)
    : page_(std::move(page)), log_(log), options_(std::move(options)) {}

bool MetricsHandler::admits(const Request& head, Response* refusal) {
  std::optional<ApiError> error;
  if (!options_.any_host) error = check_open_access(options_.access, head);
  if (!error && head.path != options_.path) {
    error = ApiError{.status = 404,
                     .code = "not_found",
                     .message = "this port has " + options_.path + " and nothing else",
                     .hint = {},
                     .field = {}};
  }
  if (!error && head.method != "GET" && head.method != "HEAD") {
    error = ApiError{.status = 405,
                     .code = "method_not_allowed",
                     .message = head.method + " " + head.path + " is not served",
                     .hint = "this path has GET, HEAD",
                     .field = {}};
  }
  if (!error) return true;
  *refusal = error_response(*error);
  if (error->status == 405) refusal->headers.push_back({"Allow", "GET, HEAD"});
  return false;
}

asio::awaitable<Response> MetricsHandler::handle(Exchange& exchange) {
  Response response = co_await metrics_response(page_, background_);
  co_await compress_for(exchange.request(), response, background_);
  co_return response;
}

Response MetricsHandler::refuse(int status, std::string_view message) {
  return refused_response(status, message);
}

void MetricsHandler::report(std::string_view event, std::string_view reason) {
  log_.error(event, {{"reason", reason}});
}

}  // namespace airlock::http
