// MetricsHandler: the one page of a port that is for a Prometheus and nothing else.
//
// Nobody needs a key: who can reach the port may read it. On loopback a web page of the user's
// browser could, by a name that was pointed there, and is refused as on the service's own port.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "http/access.h"
#include "http/background.h"
#include "http/server/exchange.h"
#include "telemetry/log.h"

namespace airlock::http {

// The page of metrics. Any thread; takes as long as reading a few small files.
using MetricsPage = std::function<std::string()>;

boost::asio::awaitable<Response> metrics_response(const MetricsPage& page, Background& background);

struct MetricsHandlerOptions {
  std::string path;       // "/metrics"
  bool any_host = false;  // else of `access` only
  AccessPolicy access;
};

class MetricsHandler final : public Handler {
 public:
  // `log` is borrowed for as long as this lives.
  MetricsHandler(MetricsPage page, const telemetry::Log& log, MetricsHandlerOptions options);

  bool admits(const Request& head, Response* refusal) override;
  boost::asio::awaitable<Response> handle(Exchange& exchange) override;
  Response refuse(int status, std::string_view message) override;
  void report(std::string_view event, std::string_view reason) override;

 private:
  const MetricsPage page_;
  const telemetry::Log& log_;
  const MetricsHandlerOptions options_;
  Background background_;
};

}  // namespace airlock::http
