// S3Session: signed requests to one bucket, with the retries of a policy.
//
// Guarantees: what is refused for good (403, 404, a certificate, a cancel) is asked once; 5xx,
// 429 and broken connections again, with waits that double. Every request is signed anew, so
// that waiting does not make it expire. One thread; `clock` outlives it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "artifact/http_call.h"
#include "artifact/s3_config.h"
#include "base/clock.h"
#include "base/result.h"

namespace airlock::artifact {

struct S3Call {
  std::string verb;  // for messages: "get", "list"
  std::string method;
  std::string key = {};  // empty: the bucket itself
  NameValues query = {};
  NameValues headers = {};  // lower-case names
  std::string body = {};
  FileRange file = {};
  std::string payload = std::string(kEmptySha256);  // SHA-256 of body or file
  AnswerSink sink = {};
};

// Counts attempts and waits between them.
class Backoff {
 public:
  Backoff(const RetryPolicy& policy, const base::Clock& clock, const Control& control)
      : policy_(policy), clock_(clock), control_(control) {}

  // Waits, if there is an attempt left and the failure may pass; else gives the error to report.
  base::Status wait_after(const Failure& failure);
  // The last attempt got somewhere: counting begins anew.
  void progressed() { attempts_made_ = 0; }

 private:
  RetryPolicy policy_;
  const base::Clock& clock_;
  const Control& control_;
  unsigned attempts_made_ = 0;
};

class S3Session {
 public:
  S3Session(std::string bucket, S3Config config, const base::Clock& clock);

  Attempt<HttpAnswer> send_once(const S3Call& call, const Control& control);
  base::Result<HttpAnswer> send(const S3Call& call, const Control& control);

  std::string describe(std::string_view key) const;
  const S3Config& config() const { return config_; }
  const base::Clock& clock() const { return clock_; }

 private:
  SignedRequest signed_request(std::string_view method, std::string_view key) const;
  std::string url_of(const SignedRequest& request, std::string_view target) const;

  std::string bucket_;
  S3Config config_;
  const base::Clock& clock_;
  HttpCall http_;
};

}  // namespace airlock::artifact
