#include "http/server/request_parser.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace airlock::http {
namespace {

namespace beast = boost::beast;

ParseFailure explain(beast::http::error error, const ParserLimits& limits) {
  using enum beast::http::error;
  switch (error) {
    case header_limit:
      return {431, "the request line and the headers are longer than " +
                       std::to_string(limits.header_bytes_max) + " bytes"};
    case body_limit:
      return {413, "the body is longer than " + std::to_string(limits.body_bytes_max) + " bytes"};
    case bad_version: return {505, "only HTTP/1.1 and HTTP/1.0 are spoken here"};
    case bad_transfer_encoding:
      return {400, "Transfer-Encoding can only be chunked, with no Content-Length beside it"};
    case bad_method: return {400, "malformed request: the method"};
    case bad_target: return {400, "malformed request: the target"};
    case bad_content_length: return {400, "malformed request: Content-Length"};
    case bad_chunk:
    case bad_chunk_extension: return {400, "malformed request: a chunk of the body"};
    default: return {400, "malformed request: " + beast::error_code(error).message()};
  }
}

// "0\r\n\r\n": a chunked body has at least so many bytes more as long as none of its data has come.
// Beast 1.81 takes fewer for its own mistake and aborts: "0\r\n" in one piece, "\r" in the next.
constexpr std::size_t kChunkedRestMin = 5;

// Two of one of these would be read in two ways: who asks, from where, and what the body is.
constexpr std::array<std::string_view, 8> kSingleHeaders = {
    "Host",          "Content-Length", "Content-Type",     "Origin",
    "Authorization", "X-API-Key",      "Content-Encoding", "Expect"};

std::string_view find_doubled(const Request& request) {
  const auto doubled = [&](std::string_view name) { return request.count_headers(name) > 1; };
  const auto* const found = std::ranges::find_if(kSingleHeaders, doubled);
  return found == kSingleHeaders.end() ? std::string_view() : *found;
}

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

struct RequestParser::State {
  beast::http::request_parser<beast::http::string_body> parser;
};

RequestParser::RequestParser(const ParserLimits& limits)
    : limits_(limits), state_(std::make_unique<State>()) {
  state_->parser.header_limit(limits.header_bytes_max);
  state_->parser.body_limit(limits.body_bytes_max);
}

RequestParser::~RequestParser() = default;

std::size_t RequestParser::feed(std::string_view bytes) {
  if (bytes.empty() || failure_.status != 0) return 0;
  started_ = true;
  std::size_t taken = 0;
  while (taken < bytes.size() && !state_->parser.is_done() && failure_.status == 0) {
    const std::string_view rest = bytes.substr(taken);
    if (rest.size() < kChunkedRestMin && rest[0] == '0' && awaits_first_chunk()) break;
    beast::error_code error;
    const std::size_t count =
        state_->parser.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    taken += count;
    if (error && error != beast::http::error::need_more) {
      failure_ = explain(static_cast<beast::http::error>(error.value()), limits_);
      return taken;
    }
    // Trailers come into the same fields: what counts is there before any of them.
    if (head_complete() && !head_filled_) check_head();
    if (count == 0 || error) break;
  }
  // The line that tells a chunk's size, and trailers, are not taken before they are whole.
  if (!complete() && failure_.status == 0 && bytes.size() - taken > limits_.header_bytes_max) {
    failure_ = {431, "the head of a chunk, or the trailers, are longer than " +
                         std::to_string(limits_.header_bytes_max) + " bytes"};
  }
  return taken;
}

bool RequestParser::awaits_first_chunk() const {
  return head_complete() && state_->parser.chunked() && body_bytes() == 0;
}

bool RequestParser::head_complete() const { return state_->parser.is_header_done(); }
bool RequestParser::complete() const { return failure_.status == 0 && state_->parser.is_done(); }

std::size_t RequestParser::body_bytes() const { return state_->parser.get().body().size(); }

std::size_t RequestParser::body_bytes_declared() const {
  const auto length = state_->parser.content_length();
  return length ? static_cast<std::size_t>(*length) : 0;
}

void RequestParser::fill_head() {
  const auto& message = state_->parser.get();
  request_.method = message.method_string();
  const std::string_view target(message.target().data(), message.target().size());
  const std::size_t question = target.find('?');
  request_.path = target.substr(0, question);
  if (question != std::string_view::npos) request_.query = target.substr(question + 1);
  for (const auto& field : message) {
    request_.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  request_.has_chunks = message.version() >= 11;
  // A 1.0 client that wants more would have to be told so; it opens another connection instead.
  request_.keep_alive = request_.has_chunks && message.keep_alive();
  head_filled_ = true;
}

// What two readers could understand in two ways is refused.
void RequestParser::check_head() {
  fill_head();
  const bool is_old = !request_.has_chunks;
  const std::string_view doubled = find_doubled(request_);
  const std::size_t hosts = request_.count_headers("Host");
  const std::string_view length = request_.header("Content-Length");
  const bool has_length = request_.count_headers("Content-Length") > 0;
  const bool has_coding = request_.count_headers("Transfer-Encoding") > 0;
  const bool takes_no_body = request_.method == "GET" || request_.method == "HEAD";
  if (request_.headers.size() > limits_.headers_max) {
    failure_ = {431, "more than " + std::to_string(limits_.headers_max) + " headers"};
  } else if (!doubled.empty()) {
    failure_ = {400, "more than one " + std::string(doubled) + " header"};
  } else if (hosts == 0 && !is_old) {
    failure_ = {400, "HTTP/1.1 needs a Host header"};
  } else if (has_length && !is_number(length)) {
    failure_ = {400, "Content-Length is one number"};
  } else if (has_coding && (has_length || is_old)) {
    failure_ = {400, "Transfer-Encoding is for HTTP/1.1, and without Content-Length"};
  } else if (has_coding && !equals_ignoring_case(request_.header("Transfer-Encoding"), "chunked")) {
    failure_ = {400, "Transfer-Encoding can only be chunked"};
  } else if (takes_no_body && (has_coding || (has_length && length != "0"))) {
    failure_ = {400, request_.method + " has no body here"};
  } else if (request_.path.empty() || request_.path[0] != '/') {
    failure_ = {400, "the target has to be a path that begins with /"};
  }
  state_->parser.eager(true);
}

bool RequestParser::expects_continue() const {
  return head_filled_ && equals_ignoring_case(request_.header("Expect"), "100-continue");
}

const Request& RequestParser::head() { return request_; }

Request RequestParser::take() {
  request_.body = std::move(state_->parser.get().body());
  return std::move(request_);
}

}  // namespace airlock::http
