// HttpCall: one HTTP request at a time over libcurl, with everything bounded.
//
// libcurl is loaded at the first request; where it cannot be, that is the request's failure.
// A request body comes from memory or from a range of a file; a 2xx body goes to a sink, or is
// kept if there is none. Headers and kept bodies have limits. No redirect is followed, no cookie
// kept, no password file read; only http and https are spoken. Cancel and deadline of the
// Control are obeyed within a second. Does not sign, retry or judge a status. One thread.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "artifact/control.h"
#include "artifact/http_answer.h"
#include "artifact/s3_config.h"
#include "base/clock.h"
#include "base/result.h"

namespace airlock::artifact {

inline constexpr std::size_t kAnswerBytesMax = 8u << 20;  // of a kept 2xx body

struct HttpRequest {
  std::string method;  // GET, HEAD, PUT, POST, DELETE
  std::string url;     // as it is to be sent
  NameValues headers = {};
  std::string body = {};  // of PUT and POST, unless there is a file
  FileRange file = {};    // fd -1: none
  AnswerSink sink = {};
};

// Why there is no answer, or none that helps; `may_pass`: the same request may work later.
struct Failure {
  base::Error error;
  bool may_pass = false;
  std::string code = {};  // of S3: "NoSuchKey"; empty: none came
  std::chrono::seconds retry_after{0};
};
template <typename T>
using Attempt = std::expected<T, Failure>;

class HttpCall {
 public:
  // `clock` outlives it, and so does the name of the library (kCurlLibrary).
  HttpCall(std::string ca_file, S3Timeouts timeouts, const base::Clock& clock,
           const char* curl_library);
  HttpCall(const HttpCall&) = delete;
  HttpCall& operator=(const HttpCall&) = delete;
  ~HttpCall();

  // An answer of any status. Connections are kept for the next request.
  Attempt<HttpAnswer> perform(const HttpRequest& request, const Control& control);

 private:
  struct Connections;  // libcurl, and its handle that keeps them
  struct Exchange;     // what the callbacks of one request share
  base::Status open();
  void set_common(const HttpRequest& request, Exchange& exchange);
  void set_method(const HttpRequest& request, Exchange& exchange);
  Failure failure_of(int code, const Exchange& exchange, const HttpRequest& request) const;

  std::string ca_file_;
  S3Timeouts timeouts_;
  const base::Clock& clock_;
  const char* curl_library_;
  std::unique_ptr<Connections> connections_;  // from the first request on
};

}  // namespace airlock::artifact
