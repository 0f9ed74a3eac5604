#include "http/server/session.h"

#include <array>
#include <cstdio>
#include <exception>
#include <utility>

#include "base/crash_point.h"

namespace airlock::http {
namespace {

namespace asio = boost::asio;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr auto kNoDeadline = Session::TimePoint::max();

}  // namespace

Session::Session(asio::any_io_executor executor, std::shared_ptr<Transport> transport,
                 Common& common)
    : executor_(std::move(executor)),
      transport_(std::move(transport)),
      common_(common),
      request_share_(common.requests),
      answer_share_(common.answers) {
  set_deadline(common_.limits.head_max);
}

void Session::set_deadline(std::chrono::milliseconds from_now) {
  deadline_ = std::chrono::steady_clock::now() + from_now;
}

void Session::close_if_late(TimePoint now) {
  if (now < deadline_) return;
  if (!reading_ || late_) return close();
  late_ = true;  // whoever waits for the rest of the request tells the client
  transport_->end_reading();
}

void Session::drain() {
  draining_ = true;
  if (idle_) transport_->close();
}

std::optional<Session::TimePoint> Session::sending_since() const {
  if (!sending_ || answer_share_.bytes() <= kFreeShareBytes) return std::nullopt;
  return sending_since_;
}

void Session::let_go() {
  request_share_.release();
  answer_share_.release();
}

void Session::cut_off() {
  release_answer();
  transport_->close();
}

asio::awaitable<void> Session::run() {
  bool alive = true;
  while (alive && !draining_) {
    if (!co_await read_request()) break;
    alive = co_await answer();
    set_deadline(common_.limits.idle_max);
    if (served_) served_();
  }
  transport_->close();
}

Response Session::no_room() {
  return common_.handler.refuse(
      503, "the requests of other clients fill the memory that this service keeps for them");
}

// What a request is refused with whose head is complete.
std::optional<Response> Session::find_refusal(RequestParser& parser) {
  Response refusal;
  if (!common_.handler.admits(parser.head(), &refusal)) return refusal;
  // Known now, it is said now, and not after half of the body.
  if (common_.requests.has_room_for(parser.body_bytes_declared())) return std::nullopt;
  return no_room();
}

asio::awaitable<bool> Session::read_request() {
  RequestParser parser(common_.limits.parser);
  bool begun = false;
  bool admitted = false;
  idle_ = pending_.empty();
  waiting_ = true;
  for (;;) {
    pending_.erase(0, parser.feed(pending_));
    if (parser.started() && !begun) {
      begun = true;
      idle_ = false;
      reading_ = true;
      set_deadline(common_.limits.head_max);
    }
    if (parser.failure().status != 0) {
      head_only_ = false;
      co_await refuse(common_.handler.refuse(parser.failure().status, parser.failure().message));
      co_return false;
    }
    if (parser.head_complete() && !admitted) {
      admitted = true;
      waiting_ = false;
      base::crash_point("head_read");
      head_only_ = parser.head().method == "HEAD";
      if (std::optional<Response> refusal = find_refusal(parser)) {
        co_await refuse(std::move(*refusal));
        co_return false;
      }
      set_deadline(common_.limits.body_max);
      const bool waits = !parser.complete() && parser.expects_continue();
      if (waits && !co_await transport_->write_all(kContinue, {})) co_return false;
    }
    if (!request_share_.try_hold(pending_.size() + parser.body_bytes())) {
      co_await refuse(no_room());
      co_return false;
    }
    if (parser.complete()) {
      request_ = parser.take();
      base::crash_point("body_read");
      reading_ = false;
      deadline_ = kNoDeadline;
      co_return true;
    }
    const std::size_t count = co_await transport_->read_some(common_.buffer);
    if (count == 0) {
      if (begun) co_await refuse_what_is_not_whole();
      co_return false;
    }
    pending_.append(common_.buffer.data(), count);
  }
}

asio::awaitable<bool> Session::answer() {
  keep_alive_ = request_.keep_alive && !draining_ && ++requests_ < common_.limits.requests_max;
  streaming_ = false;
  Response response;
  bool failed = false;
  try {
    response = co_await common_.handler.handle(*this);
  } catch (const std::exception& error) {
    common_.handler.report("http.request_failed", error.what());
    failed = true;
  }
  transport_->watch_hangup({});
  request_share_.release();
  // A stream that broke off must not look whole.
  if (streaming_) co_return !failed && co_await end_stream() && keep_alive_;
  if (failed) response = common_.handler.refuse(500, "internal error");
  if (draining_) keep_alive_ = false;
  if (!co_await send(response)) co_return false;
  if (!keep_alive_) co_await transport_->close_gently();
  co_return keep_alive_;
}

// Who has only closed the sending side can still read why.
asio::awaitable<void> Session::refuse_what_is_not_whole() {
  constexpr std::string_view kLate = "the request did not arrive in time";
  constexpr std::string_view kEnded = "the connection ended before the request was whole";
  head_only_ = false;
  co_await refuse(late_ ? common_.handler.refuse(408, kLate) : common_.handler.refuse(400, kEnded));
}

asio::awaitable<void> Session::refuse(Response response) {
  keep_alive_ = false;
  reading_ = false;
  set_deadline(common_.limits.write_max);
  if (co_await send(response)) co_await transport_->close_gently();
}

std::string Session::head_of(const Response& response, bool chunked) const {
  std::string head;
  head.reserve(512);
  head += "HTTP/1.1 " + std::to_string(response.status) + " ";
  head += status_text(response.status);
  head += "\r\nDate: " + common_.date;
  if (!response.content_type.empty()) head += "\r\nContent-Type: " + response.content_type;
  if (chunked && request_.has_chunks) {
    head += "\r\nTransfer-Encoding: chunked";
  } else if (!chunked && response.status != 204) {
    head += "\r\nContent-Length: " + std::to_string(response.body.size());
  }
  head += "\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store";
  for (const Header& header : response.headers) head += "\r\n" + header.name + ": " + header.value;
  head += keep_alive_ ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n";
  return head;
}

bool Session::hold_result(std::size_t bytes) {
  while (!answer_share_.try_hold(bytes)) {
    if (common_.cut_off_slowest()) continue;
    if (common_.answers.held() != 0) return false;
    answer_share_.hold(bytes);  // larger than the budget, and alone
    break;
  }
  return true;
}

void Session::hold_answer(std::size_t bytes) {
  while (!answer_share_.try_hold(bytes)) {
    if (common_.cut_off_slowest()) continue;
    answer_share_.hold(bytes);  // what has been computed is not thrown away for itself
    break;
  }
  sending_ = true;
  sending_since_ = std::chrono::steady_clock::now();
}

void Session::release_answer() {
  sending_ = false;
  answer_share_.release();
}

asio::awaitable<bool> Session::send(const Response& response) {
  set_deadline(common_.limits.write_max);
  base::crash_point("before_answer");
  const std::string head = head_of(response, false);
  hold_answer(response.body.size());
  const bool sent = co_await transport_->write_all(
      head, head_only_ ? std::string_view() : std::string_view(response.body));
  release_answer();
  co_return sent;
}

asio::awaitable<bool> Session::begin_stream(Response response) {
  streaming_ = true;
  set_deadline(common_.limits.write_max);
  if (!request_.has_chunks) keep_alive_ = false;  // its end is the connection's
  const std::string head = head_of(response, true);
  const bool sent = co_await transport_->write_all(head, {});
  base::crash_point("stream_begun");
  deadline_ = kNoDeadline;
  co_return sent;
}

asio::awaitable<bool> Session::write(std::string_view piece) {
  if (piece.empty()) co_return true;  // an empty chunk would end the stream
  std::array<char, 32> size;
  int digits = 0;
  std::string rest(piece);
  if (request_.has_chunks) {
    digits = std::snprintf(size.data(), size.size(), "%zx\r\n", piece.size());
    rest += "\r\n";
  }
  set_deadline(common_.limits.write_max);
  hold_answer(rest.size());
  const bool sent = co_await transport_->write_all(
      std::string_view(size.data(), static_cast<std::size_t>(digits)), rest);
  base::crash_point("piece_written");
  release_answer();
  deadline_ = kNoDeadline;
  co_return sent;
}

asio::awaitable<bool> Session::end_stream() {
  if (!request_.has_chunks) co_return true;
  set_deadline(common_.limits.write_max);
  co_return co_await transport_->write_all("0\r\n\r\n", {});
}

}  // namespace airlock::http
