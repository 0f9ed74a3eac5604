#include "apps/airlock/metrics_port.h"

#include <utility>

#include "apps/airlock/listen_address.h"
#include "http/access.h"

namespace airlock::apps {
namespace {

constexpr std::size_t kConnectionsMax = 64;

// On loopback it is known by which names the port can be meant.
http::MetricsHandlerOptions handler_options(const MetricsOptions& options) {
  const auto address = parse_listen_address(options.url());
  return {.path = options.path,
          .any_host = address && !address->loopback,
          .access = {.key = {}, .hosts = http::loopback_hosts()}};
}

http::ServerLimits limits_of(http::ServerLimits limits) {
  limits.connections_max = kConnectionsMax;
  return limits;
}

}  // namespace

MetricsPort::MetricsPort(boost::asio::io_context& context, const ServeOptions& options,
                         http::MetricsPage page, const telemetry::Log& log)
    : path_(options.metrics.path),
      handler_(std::move(page), log, handler_options(options.metrics)),
      server_(context, handler_, limits_of(options.server)) {}

base::Result<std::string> MetricsPort::listen(base::UniqueFd listener) {
  AIRLOCK_ASSIGN(std::string url, listener_url(listener.get()));
  AIRLOCK_TRY(server_.listen(std::move(listener)));
  return url + path_;
}

}  // namespace airlock::apps
