// Transfer: one request over libcurl, bounded on every side; what HttpClient and EventStream share.
//
// A 2xx body goes to the sink, or is kept up to `kBodyBytesMax`; of another, the beginning is
// kept for the error. No redirect is followed (a key would go with it), no cookie or password file
// is read, only http and https are spoken, and nothing on loopback goes through a proxy. libcurl
// holds pointers into it: it never moves. One thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "artifact/curl_functions.h"
#include "artifact/http_answer.h"
#include "base/result.h"
#include "client/server_url.h"

namespace airlock::client {

inline constexpr std::size_t kBodyBytesMax = 64u << 20;  // a job with its outputs

struct ClientOptions {
  artifact::CurlFunctions curl;  // of load_curl: without it nothing can be asked
  ServerUrl server;
  std::string api_key;  // empty: none is sent
  std::string ca_file;  // PEM; empty: the host's authorities
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds stall_timeout{60'000};   // without a byte
  std::chrono::milliseconds whole_timeout{180'000};  // of what is kept in memory
  std::function<bool()> interrupted;                 // asked once a second at least; may be empty
};

struct ClientRequest {
  std::string method = "GET";
  std::string target;  // "/v1/jobs?limit=1", as it is to be sent
  std::string body;    // of POST
  std::string idempotency_key;
  std::string last_event_id;
  bool wants_events = false;
};

using artifact::HttpAnswer;
using Sink = artifact::AnswerSink;

class Transfer {
 public:
  // The options are borrowed. A sink means no whole_timeout.
  Transfer(const ClientOptions& options, ClientRequest request, Sink sink);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer();

  CURL* handle() const { return handle_.get(); }
  // Once libcurl has said how it went. kUnavailable: the same may work later; kIo: the connection
  // broke, and nobody knows what the service did; kCancelled: somebody interrupted it.
  base::Result<HttpAnswer> finish(int curl_code);

 private:
  struct State;  // what the callbacks share

  void set_options();
  void set_headers();
  base::Error unreachable() const;
  base::Error error_of(int curl_code) const;

  std::unique_ptr<State> state_;
  std::unique_ptr<CURL, decltype(&::curl_easy_cleanup)> handle_;
};

}  // namespace airlock::client
