// MetricsPort: the port that a Prometheus has for itself, if the operator gives it one.
//
// It has the page of metrics and nothing else, and needs no key. Of the thread of `context`.
#pragma once

#include <boost/asio/io_context.hpp>
#include <string>

#include "apps/airlock/serve_options.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "http/metrics_handler.h"
#include "http/server/server.h"
#include "telemetry/log.h"

namespace airlock::apps {

class MetricsPort {
 public:
  // All borrowed.
  MetricsPort(boost::asio::io_context& context, const ServeOptions& options, http::MetricsPage page,
              const telemetry::Log& log);

  // `listener` listens already. Where the page is: "http://127.0.0.1:9090/metrics".
  base::Result<std::string> listen(base::UniqueFd listener);
  void drain() { server_.drain(); }

 private:
  const std::string path_;
  http::MetricsHandler handler_;
  http::Server server_;
};

}  // namespace airlock::apps
