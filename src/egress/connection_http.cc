// Plain HTTP through the proxy: requests with whole URIs, one after another.
//
// Each has a connection of its own to the server, which ends with its answer. So nothing that was
// allowed for one request is there for the next.
#include <algorithm>
#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/units.h"
#include "egress/connection.h"
#include "egress/flow_meter.h"

namespace airlock::egress {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kPieceBytes = 16 * 1'024;

std::string plain_answer(int status, const std::string& reason, const std::string& text,
                         bool keep_alive) {
  return "HTTP/1.1 " + std::to_string(status) + " " + reason +
         "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(text.size()) +
         "\r\nX-Airlock: " + reason + "\r\nConnection: " + (keep_alive ? "keep-alive" : "close") +
         "\r\n\r\n" + text;
}

// What a server did in place of an answer. `unread` is what came and is none.
std::string missing_answer(bool timed_out, std::string_view unread,
                           std::chrono::milliseconds patience) {
  if (timed_out) return "the server did not answer within " + base::format_duration(patience);
  return unread.empty() ? "the server closed the connection without an answer"
                        : "the server's answer is none of HTTP";
}

}  // namespace

asio::awaitable<void> Connection::answer_malformed(const HeadError& error) {
  context_.ledger.malformed(error.text);
  co_await say(
      plain_answer(error.status, error.text, "airlock: refused: " + error.text + "\n", false));
  co_await linger();
}

asio::awaitable<bool> Connection::answer(const Destination& to, const Refusal& refusal,
                                         bool keep_alive) {
  std::string text = "airlock: connect " + to.to_string() +
                     (refusal.status == 403 ? " refused: " : " failed: ") + refusal.reason + "\n";
  if (!refusal.fix.empty()) text += "fix: " + refusal.fix + "\n";
  co_return co_await say(plain_answer(refusal.status, refusal.reason, text, keep_alive));
}

// Nullopt: there is none, and whoever has to know has been told.
asio::awaitable<std::optional<RequestHead>> Connection::read_request() {
  wait_until(context_.budget.header_timeout);
  HeadScan scan;
  while (true) {
    const auto end = find_head_end(from_client_, scan);
    if (!end) {
      co_await answer_malformed(end.error());
      co_return std::nullopt;
    }
    if (*end > 0) {
      auto head = parse_request_head(std::string_view(from_client_).substr(0, *end));
      from_client_.erase(0, *end);
      if (head) co_return std::move(*head);
      co_await answer_malformed(head.error());
      co_return std::nullopt;
    }
    if (co_await fill()) continue;
    if (timed_out_ && !from_client_.empty()) {
      co_await answer_malformed({408, "the request did not arrive in time"});
    }
    co_return std::nullopt;
  }
}

asio::awaitable<void> Connection::serve_http() {
  while (true) {
    const auto head = co_await read_request();
    if (!head) co_return;
    if (head->is_connect) co_return co_await serve_connect(*head);
    if (!co_await forward(*head)) co_return;
  }
}

// Whether another request may come.
asio::awaitable<bool> Connection::forward(const RequestHead& head) {
  using asio::experimental::awaitable_operators::operator&&;
  if (const auto refusal = co_await open_server(head.destination)) {
    const bool keep = head.keep_alive && BodyScanner(head.body).done();
    const bool said = co_await answer(head.destination, *refusal, keep);
    if (!keep) co_await linger();
    co_return (said && keep);
  }
  FlowMeter out(context_.ledger, *line_, Ledger::Direction::kOut, destination_, context_.clock,
                context_.budget.idle_timeout, deadline_);
  out.touch();
  from_server_.clear();
  const std::string text = write_request_head(head);
  if (!out.pass(text.size()) || !co_await write_all(server_, text, out)) co_return false;
  BodyScanner body(head.body);
  bool keep_alive = head.keep_alive;
  bool answered = false;
  const auto down = [&]() -> asio::awaitable<bool> {
    const bool whole = co_await download(head, keep_alive);
    answered = true;
    // What is still to come of the request is of no use to anybody.
    if (!whole) {
      close();
    } else if (!body.done()) {
      boost::system::error_code ignored;
      client_.shutdown(Socket::shutdown_receive, ignored);
    }
    co_return whole;
  };
  const auto [uploaded, downloaded] = co_await (upload(body, answered) && down());
  boost::system::error_code ignored;
  server_.close(ignored);
  if (!body.done() && !closed_) co_await linger();
  co_return (uploaded && downloaded && keep_alive);
}

// The rest of the request. False: it did not all come, or is not what it said it was; unless it is
// answered already, that is the end of both connections.
asio::awaitable<bool> Connection::upload(BodyScanner& body, const bool& answered) {
  FlowMeter meter(context_.ledger, *line_, Ledger::Direction::kOut, destination_, context_.clock,
                  context_.budget.idle_timeout, deadline_);
  while (!body.done()) {
    if (from_client_.empty() && !co_await fill()) {
      if (!answered) close();
      co_return false;
    }
    const std::size_t size = body.take(from_client_);
    const std::string piece = from_client_.substr(0, size);
    from_client_.erase(0, size);
    if (body.broken()) {
      context_.ledger.malformed("chunks that are none");
      close();
      co_return false;
    }
    if (!meter.pass(size)) {
      close();
      co_return false;
    }
    if (!co_await write_all(server_, piece, meter)) co_return false;
  }
  co_return true;
}

asio::awaitable<std::optional<ResponseHead>> Connection::read_response(bool answers_head) {
  HeadScan scan;
  std::array<char, kPieceBytes> buffer;  // NOLINT: filled by read_some
  while (true) {
    const auto end = find_head_end(from_server_, scan);
    if (!end) co_return std::nullopt;
    if (*end > 0) {
      auto head = parse_response_head(std::string_view(from_server_).substr(0, *end), answers_head);
      if (!head || head->status == 101) co_return std::nullopt;
      from_server_.erase(0, *end);
      co_return std::move(*head);
    }
    const long count = co_await read_some(server_, buffer.data(), buffer.size());
    if (count <= 0) co_return std::nullopt;
    from_server_.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

// The answer. False: it could not be passed on whole.
asio::awaitable<bool> Connection::download(const RequestHead& head, bool& keep_alive) {
  FlowMeter meter(context_.ledger, *line_, Ledger::Direction::kIn, destination_, context_.clock,
                  context_.budget.idle_timeout, deadline_);
  while (true) {
    const auto response = co_await read_response(head.method == "HEAD");
    if (!response) {
      if (!closed_) {
        std::string reason = missing_answer(timed_out_, from_server_, context_.budget.idle_timeout);
        const Refusal refusal =
            fail(destination_, timed_out_ ? 504 : 502,
                 timed_out_ ? SocksReply::kTimedOut : SocksReply::kFailure, std::move(reason));
        co_await answer(destination_, refusal, false);
      }
      co_return false;
    }
    BodyScanner body(response->body);
    if (body.until_close()) keep_alive = false;
    const std::string text = write_response_head(*response, keep_alive);
    if (!meter.pass(text.size()) || !co_await write_all(client_, text, meter)) co_return false;
    if (response->status < 200) continue;
    co_return co_await download_body(body);
  }
}

asio::awaitable<bool> Connection::download_body(BodyScanner& body) {
  FlowMeter meter(context_.ledger, *line_, Ledger::Direction::kIn, destination_, context_.clock,
                  context_.budget.idle_timeout, deadline_);
  if (body.until_close()) {
    const std::string early = std::exchange(from_server_, {});
    if (!meter.pass(early.size()) || !co_await write_all(client_, early, meter)) co_return false;
    co_return co_await relay(server_, client_, meter, context_.pipes);
  }
  std::string buffer(kPieceBytes, '\0');
  std::string piece = std::exchange(from_server_, {});
  while (!body.done()) {
    if (piece.empty()) {
      const long count = co_await read_some(server_, buffer.data(), buffer.size());
      if (count <= 0) co_return false;
      piece.assign(buffer.data(), static_cast<std::size_t>(count));
    }
    const std::size_t size = body.take(piece);
    if (body.broken() || !meter.pass(size)) co_return false;
    if (!co_await write_all(client_, std::string_view(piece).substr(0, size), meter)) {
      co_return false;
    }
    piece.clear();
  }
  co_return true;
}

}  // namespace airlock::egress
