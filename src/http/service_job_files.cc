// The routes of Service that give what jobs left: logs, outputs, and the feed of changes.
#include <unistd.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <optional>
#include <utility>

#include "http/answers.h"
#include "http/await_done.h"
#include "http/cors.h"
#include "http/job_json.h"
#include "http/job_log_json.h"
#include "http/json_text.h"
#include "http/query.h"
#include "http/service.h"
#include "http/text_encoding.h"

namespace airlock::http {
namespace {

namespace asio = boost::asio;
using boost::json::array;
using boost::json::object;

constexpr std::size_t kLogBytesAtOnce = 256 * 1024;
constexpr std::size_t kFileBytesAtOnce = 256 * 1024;
constexpr std::uint64_t kTailLinesMax = 1'000;
constexpr std::uint64_t kOffsetMax = std::uint64_t{1} << 62;
// How soon somebody who follows sees what is new.
constexpr std::chrono::milliseconds kLookEvery{150};
// A proxy that sees nothing for a minute gives up.
constexpr std::chrono::seconds kHeartbeat{15};

asio::awaitable<void> rest(const asio::any_io_executor& executor,
                           std::chrono::milliseconds duration) {
  asio::steady_timer timer(executor, duration);
  boost::system::error_code error;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
}

bool is_step(std::string_view name) {
  return !name.empty() && name.size() <= 32 &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

// A path as the value of a header.
std::string file_name_header(std::string_view path) {
  std::string name(path.substr(path.rfind('/') + 1));
  for (char& c : name) {
    const bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
    if (!plain) c = '_';
  }
  return "attachment; filename=\"" + name + "\"";
}

// Where a log stands: "prep:4096". What a client that reconnects says in Last-Event-ID.
struct LogPlace {
  std::string step;
  std::uint64_t offset = 0;
};

std::optional<LogPlace> parse_log_place(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || !is_step(text.substr(0, colon))) return std::nullopt;
  LogPlace place{.step = std::string(text.substr(0, colon))};
  const std::string_view digits = text.substr(colon + 1);
  const char* const end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, place.offset);
  if (parsed.ec != std::errc() || parsed.ptr != end || place.offset > kOffsetMax) {
    return std::nullopt;
  }
  return place;
}

std::string change_event(const store::ChangeEvent& change) {
  const object data{{"sequence", change.sequence},
                    {"timestamp", naive_time(change.at)},
                    {"job_id", change.job_id},
                    {"status", model::job_state_name(change.state)},
                    {"current_phase", text_or_null(change.phase)},
                    {"progress_percentage", change.progress},
                    {"cancel_requested", change.cancel_requested},
                    {"reason", text_or_null(change.reason)}};
  return "id: " + std::to_string(change.sequence) +
         "\nevent: job\ndata: " + boost::json::serialize(data) + "\n\n";
}

}  // namespace

asio::awaitable<Response> Service::job_logs(Exchange& exchange) {
  const auto record = co_await find_job(exchange);
  if (!record) co_return error_response(record.error());
  const Request& request = exchange.request();
  std::string step = query_value(request.query, "phase").value_or("");
  if (!step.empty() && !is_step(step)) {
    co_return error_response(refuse_field("phase", "phase is no name of a step").error());
  }
  if (query_flag(request.query, "follow"))
    co_return co_await follow_log(exchange, *record, std::move(step));
  const auto offset = query_number(request.query, "offset", 0, kOffsetMax);
  if (!offset) co_return error_response(offset.error());
  std::vector<std::string> steps;
  base::Result<runner::LogPiece> piece;
  co_await background_.run([&] {
    steps = jobs_->log_steps(record->id);
    if (step.empty() && !steps.empty()) step = steps.back();
    if (!step.empty()) piece = jobs_->read_log(record->id, step, *offset, kLogBytesAtOnce);
  });
  if (!piece && *offset != 0 && piece.error().code == base::ErrorCode::kProtocol) {
    co_return error_response(
        refuse_field("offset", "no entry of this log begins at byte " + std::to_string(*offset),
                     "Another attempt has begun the log anew, or it is no next_offset of an "
                     "answer: start without one.")
            .error());
  }
  if (!piece) co_return error_response(from_error(piece.error()));
  array names;
  for (const std::string& name : steps) names.emplace_back(name);
  co_return json_response(200, json_text(object{{"job_id", record->id},
                                                {"status", model::job_state_name(record->state)},
                                                {"phases", std::move(names)},
                                                {"phase", text_or_null(step)},
                                                {"entries", log_entries_json(step, piece->records)},
                                                {"next_offset", piece->next}}));
}

// One step if it is named, else every step from the first on, until the job has ended; from where
// a client was that reconnects.
asio::awaitable<Response> Service::follow_log(Exchange& exchange, model::JobRecord record,
                                              std::string only) {
  const asio::any_io_executor executor = exchange.executor();
  if (!co_await exchange.begin_stream(
          {.content_type = "text/event-stream",
           .headers = cors_headers(options_.access, exchange.request())})) {
    co_return Response{};
  }
  std::string step = only;
  std::uint64_t offset = 0;
  const auto seen = parse_log_place(exchange.request().header("Last-Event-ID"));
  if (seen && (only.empty() || only == seen->step)) {
    step = seen->step;
    offset = seen->offset;
  }
  auto spoke = std::chrono::steady_clock::now();
  for (;;) {
    const bool ended = model::is_terminal(record.state);
    base::Result<runner::LogPiece> piece;
    std::string next_step;
    co_await background_.run([&] {
      const std::vector<std::string> steps = jobs_->log_steps(record.id);
      if (step.empty() && !steps.empty()) step = steps.front();
      const auto at = std::ranges::find(steps, step);
      if (only.empty() && at != steps.end() && at + 1 != steps.end()) next_step = *(at + 1);
      if (!step.empty()) piece = jobs_->read_log(record.id, step, offset, kLogBytesAtOnce);
    });
    std::string events;
    if (piece) {
      for (const runner::LogRecord& one : piece->records) {
        offset += runner::kLogHeaderBytes + one.bytes.size();
        events += log_event(step, one, offset);
      }
      offset = piece->next;
    }
    const bool more = piece && !piece->records.empty();
    const auto clock = std::chrono::steady_clock::now();
    if (events.empty() && clock - spoke > kHeartbeat) events = ": still running\n\n";
    if (!events.empty()) {
      if (!co_await exchange.write(events)) co_return Response{};
      spoke = clock;
    }
    if (more) continue;
    if (!next_step.empty()) {
      step = std::move(next_step);
      offset = 0;
      continue;
    }
    if (ended) break;
    if (draining_) co_return Response{};  // says no end: whoever follows asks the next service
    co_await rest(executor, kLookEvery);
    auto found = co_await await_done<std::optional<model::JobRecord>>(
        executor, [&](auto done) { jobs_->find(record.id, std::move(done)); });
    if (found && *found) record = std::move(**found);
  }
  (void)co_await exchange.write(
      "event: end\ndata: " +
      boost::json::serialize(object{{"job_id", record.id},
                                    {"status", model::job_state_name(record.state)},
                                    {"error_message", text_or_null(record.error_message)}}) +
      "\n\n");
  co_return Response{};
}

asio::awaitable<Response> Service::job_log_tail(Exchange& exchange) {
  const auto record = co_await find_job(exchange);
  if (!record) co_return error_response(record.error(), job_error_json);
  const auto lines = query_number(exchange.request().query, "lines", 100, kTailLinesMax);
  if (!lines) co_return error_response(lines.error(), job_error_json);
  const auto phase = query_value(exchange.request().query, "phase");
  LogTail tail(std::max<std::uint64_t>(*lines, 1));
  std::vector<std::string> steps;
  co_await background_.run([&] { steps = jobs_->log_steps(record->id); });
  if (phase) std::erase_if(steps, [&](const std::string& step) { return step != *phase; });
  for (const std::string& step : steps) {
    // Piece by piece, so that a long log keeps others waiting for no more than one.
    for (std::uint64_t offset = 0;;) {
      base::Result<runner::LogPiece> piece;
      co_await background_.run([&] {
        piece = jobs_->read_log(record->id, step, offset, kLogBytesAtOnce);
        if (!piece) return;
        for (const runner::LogRecord& one : piece->records) tail.add(step, one);
      });
      if (!piece || piece->records.empty()) break;
      offset = piece->next;
    }
    tail.end_phase();
  }
  if (steps.empty()) {
    co_return error_response({.status = 404, .message = "No logs found for job"}, job_error_json);
  }
  array entries = tail.entries(record->id);
  const bool has_more = tail.total() > entries.size();
  co_return json_response(200,
                          json_text(object{{"job_id", record->id},
                                           {"entries", std::move(entries)},
                                           {"cursor_id", nullptr},
                                           {"has_more", has_more},
                                           {"total_entries", tail.total()},
                                           {"current_position", tail.total()},
                                           {"phase_filter", text_or_null(phase.value_or(""))}}));
}

asio::awaitable<Response> Service::job_outputs(Exchange& exchange) {
  const auto record = co_await find_job(exchange);
  if (!record) co_return error_response(record.error());
  const object whole = job_json(*record);
  co_return json_response(200, json_text(object{{"job_id", record->id},
                                                {"status", whole.at("status")},
                                                {"outputs", whole.at("outputs")}}));
}

asio::awaitable<Response> Service::job_output(Exchange& exchange) {
  const auto record = co_await find_job(exchange);
  if (!record) co_return error_response(record.error());
  const auto values = match_path(path_of(*find_route(exchange.request())), exchange.request().path);
  const std::string path = values->back();
  const bool known = std::ranges::find(record->outputs, path, &model::ArtifactDigest::path) !=
                     record->outputs.end();
  base::Result<runner::JobOutput> output =
      base::fail(base::ErrorCode::kNotFound, "the job has no output of that name");
  if (known) {
    co_await background_.run([&] { output = jobs_->open_output(record->id, path); });
  }
  if (!output) co_return error_response(from_error(output.error()));
  Response head{.content_type = "application/octet-stream",
                .headers = cors_headers(options_.access, exchange.request())};
  head.headers.push_back({"Content-Disposition", file_name_header(path)});
  head.headers.push_back({"X-Content-Type-Options", "nosniff"});
  if (!co_await exchange.begin_stream(std::move(head))) co_return Response{};
  std::string piece;
  for (std::uint64_t offset = 0; offset < output->size.count(); offset += piece.size()) {
    ssize_t count = 0;
    co_await background_.run([&] {
      piece.resize(std::min<std::uint64_t>(kFileBytesAtOnce, output->size.count() - offset));
      // Why safe: `piece` is as large as what may be read.
      count =
          ::pread(output->content.get(), piece.data(), piece.size(), static_cast<off_t>(offset));
    });
    if (count <= 0) break;
    piece.resize(static_cast<std::size_t>(count));
    if (!co_await exchange.write(piece)) break;
  }
  co_return Response{};
}

// From `since`, or from what comes next; a browser that reconnects says where it was.
asio::awaitable<Response> Service::events(Exchange& exchange) {
  if (jobs_ == nullptr) {
    co_return error_response({.status = 503, .code = "jobs_off", .message = "there are no jobs"});
  }
  const asio::any_io_executor executor = exchange.executor();
  const Request& request = exchange.request();
  std::uint64_t since = kOffsetMax;
  const std::string_view last_seen = request.header("Last-Event-ID");
  std::from_chars(last_seen.data(), last_seen.data() + last_seen.size(), since);
  since = std::min(since, kOffsetMax);
  const auto wanted = query_number(request.query, "since", since, kOffsetMax);
  if (!wanted) co_return error_response(wanted.error());
  since = *wanted;
  const auto look = [&](std::function<void(base::Result<store::ChangesPage>)> done) {
    jobs_->changes_since({.since = since, .owner = {}}, std::move(done));
  };
  if (!co_await exchange.begin_stream({.content_type = "text/event-stream",
                                       .headers = cors_headers(options_.access, request)})) {
    co_return Response{};
  }
  for (auto spoke = std::chrono::steady_clock::now();;) {
    const auto page = co_await await_done<store::ChangesPage>(executor, look);
    std::string events;
    if (page) {
      if (page->lost) events += "event: lost\ndata: {}\n\n";
      for (const store::ChangeEvent& change : page->changes) events += change_event(change);
      since = page->last;
    }
    const auto clock = std::chrono::steady_clock::now();
    if (events.empty() && clock - spoke > kHeartbeat) events = ": nothing new\n\n";
    if (!events.empty()) {
      if (!co_await exchange.write(events)) co_return Response{};
      spoke = clock;
    }
    if (page && !page->changes.empty()) continue;
    if (draining_) co_return Response{};
    co_await rest(executor, kLookEvery);
  }
}

}  // namespace airlock::http
