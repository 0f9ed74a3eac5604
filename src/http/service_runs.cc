// The routes of Service that run something: the request into a run, the run's end into an answer.
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "base/ids.h"
#include "http/amon_result.h"
#include "http/answers.h"
#include "http/cors.h"
#include "http/result_json.h"
#include "http/run_waiter.h"
#include "http/server_timing.h"
#include "http/service.h"
#include "http/shell_status.h"

namespace airlock::http {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

constexpr std::size_t kAmonIdBytes = 16;  // 32 digits, as Amon's clients know them

template <typename Run, typename Limits>
using ParseBody = ApiResult<Run> (*)(std::string_view, const RunCatalog&, const Limits&);

bool has_large_body(const Exchange& exchange) {
  return exchange.request().body.size() > kSmallWorkBytes;
}

// The body is gone when its request has become a run.
template <typename Run, typename Limits>
asio::awaitable<ApiResult<Run>> read_large(ParseBody<Run, Limits> parse, Exchange& exchange,
                                           const RunCatalog& catalog, const Limits& limits,
                                           Background& background) {
  const std::string body = exchange.take_body();
  ApiResult<Run> run;
  co_await background.run([&] { run = parse(body, catalog, limits); });
  co_return run;
}

using WriteResult = std::string (*)(const model::RunResult&);

asio::awaitable<std::string> write_large(WriteResult write, const model::RunResult& result,
                                         Background& background) {
  std::string text;
  co_await background.run([&] { text = write(result); });
  co_return text;
}

std::shared_ptr<runner::Submission> make_submission(ParsedRun parsed) {
  auto submission = std::make_shared<runner::Submission>();
  submission->request = std::move(parsed.request);
  submission->keep_alive = std::make_shared<base::UniqueFd>(std::move(parsed.stdin_content));
  return submission;
}

std::string random_id() {
  base::SystemRandom random;
  return base::make_hex(kAmonIdBytes, random);
}

// That runner knows "busy", which is worth another try, and "broken", and nothing between.
ApiError amon_error_of(base::ErrorCode code) {
  const bool busy = code == base::ErrorCode::kBusy || code == base::ErrorCode::kUnavailable;
  return {.status = busy ? 429 : 500,
          .code = busy ? "busy" : "internal",
          .message = busy ? "runner busy, please retry" : "runner internal error",
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

}  // namespace

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

asio::awaitable<Response> Service::run(Exchange& exchange) {
  const auto began = steady_clock::now();
  ApiResult<ParsedRun> parsed;
  if (has_large_body(exchange)) {
    parsed = co_await read_large(parse_run, exchange, catalog_, options_.limits, background_);
  } else {
    parsed = parse_run(exchange.take_body(), catalog_, options_.limits);
  }
  if (!parsed) co_return error_response(parsed.error());
  const HeldFiles held(*this, *parsed);
  if (const auto error = held.too_many()) co_return error_response(*error);
  auto submission = make_submission(std::move(*parsed));
  const auto submitted = steady_clock::now();
  const RunOutcome outcome = co_await await_run(exchange, runs_, std::move(submission));
  if (!outcome) co_return error_response(from_error(outcome.error()));
  const bool large = captured_bytes(*outcome) > kSmallWorkBytes;
  std::string body =
      large ? co_await write_large(result_json, *outcome, background_) : result_json(*outcome);
  Response response = json_response(200, std::move(body));
  const model::RunTimings& run = outcome->timings;
  response.headers.push_back(
      {"Server-Timing", server_timing({.parse = submitted - began,
                                       .run = run,
                                       .answer = steady_clock::now() - submitted - run.total()})});
  co_return response;
}

asio::awaitable<Response> Service::run_stream(Exchange& exchange) {
  ApiResult<ParsedRun> parsed;
  if (has_large_body(exchange)) {
    parsed = co_await read_large(parse_run, exchange, catalog_, options_.limits, background_);
  } else {
    parsed = parse_run(exchange.take_body(), catalog_, options_.limits);
  }
  if (!parsed) co_return error_response(parsed.error());
  const HeldFiles held(*this, *parsed);
  if (const auto error = held.too_many()) co_return error_response(*error);
  StreamedRun streamed = co_await stream_run(
      exchange, runs_, make_submission(std::move(*parsed)),
      {.background = background_, .headers = cors_headers(options_.access, exchange.request())});
  if (streamed.refused) co_return error_response(from_error(*streamed.refused));
  co_return Response{};
}

asio::awaitable<Response> Service::run_amon(Exchange& exchange) {
  ApiResult<AmonRun> parsed;
  if (has_large_body(exchange)) {
    parsed = co_await read_large(parse_amon_run, exchange, catalog_, options_.amon, background_);
  } else {
    parsed = parse_amon_run(exchange.take_body(), catalog_, options_.amon);
  }
  if (!parsed) co_return error_response(parsed.error(), amon_error_json);
  const HeldFiles held(*this, parsed->run);
  if (held.too_many()) {
    co_return error_response(amon_error_of(base::ErrorCode::kBusy), amon_error_json);
  }
  const AmonIds ids{.job_id = random_id(),
                    .request_id = parsed->request_id.empty() ? random_id() : parsed->request_id};
  auto submission = make_submission(std::move(parsed->run));
  submission->when_busy = runner::WhenBusy::kRefuse;
  log_.raw(amon_start_event_json(
      {.ids = ids, .timeout_s = parsed->timeout_s, .code_bytes = parsed->code_bytes}));
  const auto started = steady_clock::now();
  const RunOutcome outcome = co_await await_run(exchange, runs_, submission);
  AmonFinishEvent finish = amon_finish_of(outcome);
  finish.ids = ids;
  finish.input_files = parsed->input_files;
  finish.input_bytes = parsed->input_bytes;
  finish.duration_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - started).count();
  AmonAnswer answer;
  const auto write = [&] { answer = amon_answer(ids, *outcome, options_.amon); };
  if (outcome && captured_bytes(*outcome) > kSmallWorkBytes) {
    co_await background_.run(write);
  } else if (outcome) {
    write();
  } else {
    answer = amon_answer(amon_error_of(outcome.error().code));
  }
  finish.ok = answer.status == 200;
  log_.raw(amon_finish_event_json(finish));
  co_return json_response(answer.status, std::move(answer.body));
}

asio::awaitable<Response> Service::execute_swissbrain(Exchange& exchange) {
  ApiResult<SwissbrainRun> parsed;
  if (has_large_body(exchange)) {
    parsed = co_await read_large(parse_swissbrain_run, exchange, catalog_, options_.swissbrain,
                                 background_);
  } else {
    parsed = parse_swissbrain_run(exchange.take_body(), catalog_, options_.swissbrain);
  }
  if (!parsed) co_return error_response(parsed.error(), swissbrain_error_json);
  const HeldFiles held(*this, parsed->run);
  if (const auto error = held.too_many()) co_return error_response(*error, swissbrain_error_json);
  const RunOutcome outcome =
      co_await await_run(exchange, runs_, make_submission(std::move(parsed->run)));
  if (!outcome) co_return error_response(from_error(outcome.error()), swissbrain_error_json);
  if (const auto error = swissbrain_failure(*outcome)) {
    co_return error_response(*error, swissbrain_error_json);
  }
  if (captured_bytes(*outcome) <= kSmallWorkBytes) {
    co_return json_response(200, swissbrain_result_json(*outcome));
  }
  co_return json_response(200, co_await write_large(swissbrain_result_json, *outcome, background_));
}

}  // namespace airlock::http
