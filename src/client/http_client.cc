#include "client/http_client.h"

#include <utility>

namespace airlock::client {

base::Result<HttpAnswer> HttpClient::call(ClientRequest request) const {
  return download(std::move(request), {});
}

base::Result<HttpAnswer> HttpClient::download(ClientRequest request, Sink sink) const {
  Transfer transfer(options_, std::move(request), std::move(sink));
  return transfer.finish(options_.curl.easy_perform(transfer.handle()));
}

}  // namespace airlock::client
