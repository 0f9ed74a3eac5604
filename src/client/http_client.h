// HttpClient: requests to one service, one at a time, each answered or an error.
//
// Connections are not kept: a person's command makes a few requests. One thread.
#pragma once

#include <string>

#include "base/result.h"
#include "client/transfer.h"

namespace airlock::client {

class HttpClient {
 public:
  explicit HttpClient(ClientOptions options) : options_(std::move(options)) {}

  const ClientOptions& options() const { return options_; }

  // A 2xx answer with its body, at most kBodyBytesMax.
  base::Result<HttpAnswer> call(ClientRequest request) const;
  // A 2xx answer whose body went to the sink; an error of the sink ends it and is given back.
  base::Result<HttpAnswer> download(ClientRequest request, Sink sink) const;

 private:
  ClientOptions options_;
};

}  // namespace airlock::client
