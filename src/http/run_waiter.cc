#include "http/run_waiter.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <optional>
#include <utility>

#include "base/crash_point.h"
#include "http/api_error.h"
#include "http/event_sink.h"
#include "http/result_json.h"
#include "http/text_encoding.h"

namespace airlock::http {
namespace {

namespace asio = boost::asio;

// A proxy that sees nothing for a minute gives up.
constexpr std::chrono::seconds kHeartbeat{15};
constexpr std::size_t kPartialCharacterMax = 3;

// What the server's thread waits for: news of a stream, or the end.
struct Pending {
  explicit Pending(const asio::any_io_executor& executor) : bell(executor) {}
  asio::steady_timer bell;
  bool news = false;
  std::optional<RunOutcome> outcome;

  void ring() {
    news = true;
    bell.cancel();
  }
};

std::function<void(RunOutcome)> finisher(std::shared_ptr<Pending> pending,
                                         asio::any_io_executor executor) {
  return [pending = std::move(pending), executor = std::move(executor)](RunOutcome outcome) {
    asio::post(executor, [pending, outcome = std::move(outcome)]() mutable {
      pending->outcome = std::move(outcome);
      pending->ring();
    });
  };
}

// False when the time was up before anything happened.
asio::awaitable<bool> wait_for_news(Pending& pending, asio::steady_timer::duration longest) {
  if (!pending.news) {
    boost::system::error_code error;
    pending.bell.expires_after(longest);
    co_await pending.bell.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
  co_return std::exchange(pending.news, false);
}

std::string output_event(std::string_view phase, runner::Stream stream, std::string_view bytes) {
  boost::json::object data;
  data["phase"] = phase;
  data["stream"] = stream == runner::Stream::kStdout ? "stdout" : "stderr";
  if (is_utf8(bytes)) {
    data["text"] = bytes;
  } else {
    data["base64"] = base64(bytes);
  }
  return "event: output\ndata: " + boost::json::serialize(data) + "\n\n";
}

std::string last_event(const RunOutcome& outcome) {
  if (!outcome) return "event: error\ndata: " + error_json(from_error(outcome.error())) + "\n\n";
  return "event: result\ndata: " + result_json(*outcome) + "\n\n";
}

// One phase's output. A character that has come in part waits for the rest of it.
class PhaseEvents {
 public:
  PhaseEvents(std::string_view phase, std::shared_ptr<EventSink> sink)
      : phase_(phase), sink_(std::move(sink)) {}

  std::string take(bool all) {
    std::string events;
    for (OutputPiece& piece : sink_->take()) {
      std::string& held = piece.stream == runner::Stream::kStdout ? held_stdout_ : held_stderr_;
      held += piece.bytes;
      events += flush(piece.stream, held, false);
    }
    if (all) {
      events += flush(runner::Stream::kStdout, held_stdout_, true);
      events += flush(runner::Stream::kStderr, held_stderr_, true);
    }
    return events;
  }

 private:
  std::string flush(runner::Stream stream, std::string& held, bool all) const {
    std::size_t ready = all ? held.size() : without_partial_character(held).size();
    if (held.size() - ready > kPartialCharacterMax) ready = held.size();
    if (ready == 0) return {};
    std::string event = output_event(phase_, stream, std::string_view(held).substr(0, ready));
    held.erase(0, ready);
    return event;
  }

  std::string_view phase_;
  std::shared_ptr<EventSink> sink_;
  std::string held_stdout_;
  std::string held_stderr_;
};

// A result that finds no room among the answers is let go at once.
RunOutcome take_outcome(Exchange& exchange, Pending& pending) {
  RunOutcome outcome = std::move(*pending.outcome);
  if (!outcome || exchange.hold_result(captured_bytes(*outcome))) return outcome;
  return base::fail(base::ErrorCode::kUnavailable,
                    "the answers to other clients fill the memory that this service keeps for them",
                    "come back later");
}

}  // namespace

asio::awaitable<RunOutcome> await_run(Exchange& exchange, runner::RunService& service,
                                      std::shared_ptr<runner::Submission> submission) {
  auto pending = std::make_shared<Pending>(exchange.executor());
  submission->done = finisher(pending, exchange.executor());
  auto ticket = service.submit(std::move(*submission));
  if (!ticket) co_return base::fail(ticket.error());
  base::crash_point("submitted");
  exchange.on_hangup([ticket = *ticket] { ticket->kill(); });
  while (!pending->outcome) co_await wait_for_news(*pending, kHeartbeat);
  co_return take_outcome(exchange, *pending);
}

asio::awaitable<StreamedRun> stream_run(Exchange& exchange, runner::RunService& service,
                                        std::shared_ptr<runner::Submission> submission,
                                        StreamOptions options) {
  auto pending = std::make_shared<Pending>(exchange.executor());
  const auto news = [pending, executor = exchange.executor()] {
    asio::post(executor, [pending] { pending->ring(); });
  };
  auto output = std::make_shared<EventSink>(news);
  auto compile_output = std::make_shared<EventSink>(news);
  if (!output->valid() || !compile_output->valid()) {
    co_return StreamedRun{.refused = base::errno_error("eventfd")};
  }
  PhaseEvents compile("compile", compile_output);
  PhaseEvents run("run", output);
  submission->output = output;
  submission->compile_output = compile_output;
  submission->done = finisher(pending, exchange.executor());
  auto ticket = service.submit(std::move(*submission));
  if (!ticket) co_return StreamedRun{.refused = ticket.error()};
  exchange.on_hangup([ticket = *ticket] { ticket->kill(); });
  bool listening = co_await exchange.begin_stream(
      {.content_type = "text/event-stream", .headers = std::move(options.headers)});
  while (!pending->outcome) {
    const bool woken = co_await wait_for_news(*pending, kHeartbeat);
    std::string events = compile.take(false) + run.take(false);
    if (events.empty() && !woken) events = ": still running\n\n";
    if (listening) listening = co_await exchange.write(events);
    if (!listening) (*ticket)->kill();
  }
  std::string events = compile.take(true) + run.take(true);
  const RunOutcome outcome = take_outcome(exchange, *pending);
  const auto write_last = [&] { events += last_event(outcome); };
  if (outcome && captured_bytes(*outcome) > kSmallWorkBytes) {
    co_await options.background.run(write_last);
  } else {
    write_last();
  }
  if (listening) co_await exchange.write(events);
  output->close();
  compile_output->close();
  co_return StreamedRun{};
}

}  // namespace airlock::http
