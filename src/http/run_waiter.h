// Waiting, on the server's thread, for runs that other threads drive.
//
// The run belongs to the exchange: when the client hangs up it is killed, and its result, which
// nobody wants any more, is still waited for.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "http/background.h"
#include "http/server/exchange.h"
#include "model/run_result.h"
#include "runner/run_service.h"

namespace airlock::http {

using RunOutcome = base::Result<model::RunResult>;

boost::asio::awaitable<RunOutcome> await_run(Exchange& exchange, runner::RunService& service,
                                             std::shared_ptr<runner::Submission> submission);

// Sends what the program writes as server-sent events while it runs:
//   event: output   data: {"phase":"run","stream":"stdout","text":"..."} or "base64" for no text
//   event: result   data: the result object; its stdout and stderr are empty, for they were sent
//   event: error    data: the error object, where there is no result
struct StreamOptions {
  Background& background;       // writes a large last event
  std::vector<Header> headers;  // of the answer
};
struct StreamedRun {
  std::optional<base::Error> refused;  // before anything was sent
};
boost::asio::awaitable<StreamedRun> stream_run(Exchange& exchange, runner::RunService& service,
                                               std::shared_ptr<runner::Submission> submission,
                                               StreamOptions options);

}  // namespace airlock::http
