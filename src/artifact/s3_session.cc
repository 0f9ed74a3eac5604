#include "artifact/s3_session.h"

#include <algorithm>

#include "artifact/curl_functions.h"
#include "artifact/s3_errors.h"

namespace airlock::artifact {
namespace {

constexpr unsigned kDoublingsMax = 20;

bool is_success(int status) { return status >= 200 && status < 300; }

// S3 may find out that it cannot when it has begun to answer with a 200, and sent blanks meanwhile.
// Names in an answer cannot look like this: their "<" is escaped.
bool hides_error(const HttpAnswer& answer) {
  return answer.body.find("<Error>") != std::string::npos;
}

}  // namespace

base::Status Backoff::wait_after(const Failure& failure) {
  ++attempts_made_;
  if (!failure.may_pass) return base::fail(failure.error);
  if (attempts_made_ >= policy_.attempts) {
    base::Error error = failure.error;
    error.message += " (after " + std::to_string(attempts_made_) +
                     (attempts_made_ == 1 ? " attempt)" : " attempts)");
    return base::fail(std::move(error));
  }
  const unsigned doublings = std::min(attempts_made_ - 1, kDoublingsMax);
  const auto wait = std::min(policy_.first_wait * (1U << doublings), policy_.wait_max);
  auto waited =
      wait_under(control_, clock_, std::max<std::chrono::milliseconds>(wait, failure.retry_after));
  if (!waited) {
    waited.error().message += "; the last attempt: " + failure.error.message;
    waited.error().hint = failure.error.hint;
  }
  return waited;
}

S3Session::S3Session(std::string bucket, S3Config config, const base::Clock& clock)
    : bucket_(std::move(bucket)),
      config_(std::move(config)),
      clock_(clock),
      http_(config_.ca_file, config_.timeouts, clock, kCurlLibrary) {}

std::string S3Session::describe(std::string_view key) const {
  return "s3://" + bucket_ + "/" + std::string(key);
}

SignedRequest S3Session::signed_request(std::string_view method, std::string_view key) const {
  // The certificate of *.s3.amazonaws.com does not hold for a bucket with dots.
  const bool has_dots = config_.endpoint.is_https && bucket_.find('.') != std::string::npos;
  const bool is_virtual = config_.style == AddressingStyle::kVirtualHost && !has_dots;
  SignedRequest request;
  request.method = method;
  request.host = (is_virtual ? bucket_ + "." : std::string()) + config_.endpoint.host;
  request.path = (is_virtual ? "/" : "/" + bucket_ + (key.empty() ? "" : "/")) + std::string(key);
  return request;
}

std::string S3Session::url_of(const SignedRequest& request, std::string_view target) const {
  return (config_.endpoint.is_https ? "https://" : "http://") + request.host + std::string(target);
}

Attempt<HttpAnswer> S3Session::send_once(const S3Call& call, const Control& control) {
  SignedRequest to_sign = signed_request(call.method, call.key);
  to_sign.query = call.query;
  to_sign.headers = call.headers;
  to_sign.payload = call.payload;
  const auto now = clock_.wall_now();
  HttpRequest request{.method = call.method,
                      .url = url_of(to_sign, encoded_target(to_sign.path, call.query)),
                      .headers = call.headers,
                      .body = call.body,
                      .file = call.file,
                      .sink = call.sink};
  for (auto& header : sign_headers(to_sign, config_.credentials, config_.region, now)) {
    request.headers.push_back(std::move(header));
  }
  const std::string what = call.verb + " " + describe(call.key);
  auto answer = http_.perform(request, control);
  if (!answer) {
    answer.error().error.message = what + ": " + answer.error().error.message;
    return answer;
  }
  if (is_success(answer->status) && !(call.sink == nullptr && hides_error(*answer))) return answer;
  return std::unexpected(
      failure_of(*answer, {.what = what, .bucket = bucket_, .region = config_.region, .now = now}));
}

base::Result<HttpAnswer> S3Session::send(const S3Call& call, const Control& control) {
  Backoff backoff(config_.retry, clock_, control);
  while (true) {
    auto answer = send_once(call, control);
    if (answer) return std::move(*answer);
    AIRLOCK_TRY(backoff.wait_after(answer.error()));
  }
}

}  // namespace airlock::artifact
